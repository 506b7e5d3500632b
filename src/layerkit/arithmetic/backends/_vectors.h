/* The loops for both types of number, with vectors of BYTES bytes. _direct.c includes this for each length of vectors. */

#define REAL double
#include "_direct.h"
#undef REAL
#define REAL float
#include "_direct.h"
#include "_short.h"
#undef REAL

/* Return whether there was memory for it. */
static int JOIN(convolve, any, BYTES)(int is_double, const Geometry *g, const void *x, const void *weight,
                                      const void *bias, void *y, const void *inputs, const void *sums, int threads) {
  if (is_double) JOIN(convolve_all, double, BYTES)(g, x, weight, bias, y, threads);
  else if (inputs) return JOIN(transform_all, float, BYTES)(g, x, weight, bias, y, inputs, sums, threads);
  else JOIN(convolve_all, float, BYTES)(g, x, weight, bias, y, threads);
  return 1;
}

#undef TARGET
#undef BYTES
