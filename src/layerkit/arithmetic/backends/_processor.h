/* Whether the processor can run the compiled code; every compiled module checks this first. */
#ifndef LAYERKIT_PROCESSOR_H
#define LAYERKIT_PROCESSOR_H

#include <Python.h>

/* Return 1, or 0 with an ImportError set, on which the plain way is taken. */
static int processor_suits(void) {
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
    PyErr_SetString(PyExc_ImportError, "this processor lacks AVX2");
    return 0;
  }
#endif
  return 1;
}

#endif
