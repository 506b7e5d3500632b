/* Convolutions of pictures, each output from the inputs in its window, without a copy of the windows.

   The formula and the numbers of a plan are described in layerkit/arithmetic/direct.py, which is tested against the
   plain formula. Here are only the loops: a tile of neighbouring outputs stays in registers while all taps and channels
   are added to it, always in the same order, so that no result depends on how the work is divided. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdlib.h>

#include "_processor.h"

/* Strides are in numbers. Output row p gets, through tap i, the input row p * stride_down + i * dilation_down - top. */
typedef struct {
  long pictures, channels, outputs, height, width, rows, columns, kernel_height, kernel_width;
  long stride_down, stride_across, dilation_down, dilation_across, top, left;
  long x_picture, x_channel, x_row, x_column, y_picture, y_channel, y_row, y_column;
  long lanes_in; /* whether input channels are the lanes, and not output channels */
  long rectified; /* whether outputs below zero become zero */
} Geometry;

/* The taps of one direction that are inside the picture. */
typedef struct {
  long first, stop;
} Taps;

static inline long smaller(long a, long b) { return a < b ? a : b; }
static inline long larger(long a, long b) { return a > b ? a : b; }

/* Return the taps with 0 <= start + tap * dilation < size, of ``kernel`` taps. */
static inline Taps taps_inside(long start, long dilation, long kernel, long size) {
  const long first = start < 0 ? (-start + dilation - 1) / dilation : 0;
  const long stop = start < size ? (size - 1 - start) / dilation + 1 : 0;
  return (Taps){smaller(first, kernel), larger(smaller(first, kernel), smaller(stop, kernel))};
}

/* The outputs whose windows are inside the picture: from q * stride >= left on, up to the one whose last tap is at the
   last column. */
static inline Taps tiles_inside(const Geometry *g) {
  const long reach = (g->kernel_width - 1) * g->dilation_across, room = g->width - 1 - reach + g->left;
  const long first = larger(0, (g->left + g->stride_across - 1) / g->stride_across);
  return (Taps){first, room < 0 ? 0 : smaller(g->columns, room / g->stride_across + 1)};
}

/* Return how many panels of the weight are used together, where ``rest`` are left. The registers are full with two
   panels and six outputs, or with three panels and four outputs. */
static inline long panels_at_once(long rest) { return rest == 3 || rest == 6 ? 3 : smaller(rest, 2); }

#define MOST_PIXELS 12 /* the most pixels of a tile; loops over them are unrolled, so that sums stay in registers */
#define UNROLL _Pragma("GCC unroll 12")

/* The short convolution. */
#define OUTPUTS 4 /* the outputs of a tile, computed from its values at POINTS points */
#define POINTS 6
#define ROWS 8 /* rows of tiles, TILES in each, whose values are computed together and stay in the second-level cache */
#define TILES 24

#define JOIN_(name, type, bytes) name##_##type##_##bytes
#define JOIN(name, type, bytes) JOIN_(name, type, bytes)
#define NAME(name) JOIN(name, REAL, BYTES)

/* Vectors of each length that processors may have; TARGET lets the compiler use them. */
#if defined(__x86_64__)
#define TARGET __attribute__((target("avx2,fma")))
#define BYTES 32
#include "_vectors.h"
#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma")))
#define BYTES 64
#include "_vectors.h"
#define CONVOLVE(bytes) ((bytes) == 64 ? convolve_any_64 : convolve_any_32)

/* Return the lengths in bytes, a tuple, the shortest first. */
static PyObject *lengths(void) {
  const int has_long = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  return has_long ? Py_BuildValue("(ii)", 32, 64) : Py_BuildValue("(i)", 32);
}
#else
#define TARGET
#define BYTES 16
#include "_vectors.h"
#define CONVOLVE(bytes) convolve_any_16

static PyObject *lengths(void) { return Py_BuildValue("(i)", 16); }
#endif

static PyObject *convolve(PyObject *self, PyObject *arguments) {
  unsigned long long x, weight, bias, y, inputs, sums;
  int is_double, bytes, threads, complete;
  Py_buffer plan;
  if (!PyArg_ParseTuple(arguments, "piKKKKKKiy*", &is_double, &bytes, &x, &weight, &bias, &y, &inputs, &sums, &threads,
                        &plan))
    return NULL;
  if (plan.len != 25 * sizeof(long long)) {
    PyBuffer_Release(&plan);
    PyErr_SetString(PyExc_ValueError, "a plan has 25 numbers");
    return NULL;
  }
  const long long *n = plan.buf;
  const Geometry g = {n[0],  n[1],  n[2],  n[3],  n[4],  n[5],  n[6],  n[7],  n[8],  n[9],  n[10], n[11],
                      n[12], n[13], n[14], n[15], n[16], n[17], n[18], n[19], n[20], n[21], n[22], n[23], n[24]};
  Py_BEGIN_ALLOW_THREADS
  complete = CONVOLVE(bytes)(is_double, &g, (void *)x, (void *)weight, (void *)bias, (void *)y, (void *)inputs,
                             (void *)sums, threads);
  Py_END_ALLOW_THREADS
  PyBuffer_Release(&plan);
  if (!complete) return PyErr_NoMemory();
  Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"convolve", convolve, METH_VARARGS,
     "convolve(is_double, lane_bytes, x, weight, bias, y, inputs, sums, threads, plan): one of LANE_BYTES,"
     " addresses, and the plan as int64."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "layerkit.arithmetic.backends._direct", NULL, -1, methods};

PyMODINIT_FUNC PyInit__direct(void) {
  if (!processor_suits()) return NULL;
  PyObject *made = PyModule_Create(&module);
  PyObject *bytes = made ? lengths() : NULL;
  if (made && PyModule_AddObjectRef(made, "LANE_BYTES", bytes)) Py_CLEAR(made);
  Py_XDECREF(bytes);
  return made;
}
