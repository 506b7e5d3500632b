/* Sums of shifted pictures in both directions, in one pass over memory.

   The mathematics is that of layerkit/arithmetic/sums.py, where the numbers of a plan are described. A row of sums
   downwards stays in the nearest cache until the sums across are computed from it. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdlib.h>
#include <string.h>

#include "_processor.h"

/* One source or one target along one direction: position q of a slot, with q < ``counts[slot]``, has the offset
   q * step + slot * slot_step. */
typedef struct {
  long slots, step, slot_step, *counts;
} Side;

typedef struct {
  long target, source, shift;
  double factor;
} Term;

/* Base positions of the target, and the terms in the order of its slots. */
typedef struct {
  Side target, source;
  long count, terms;
  Term *term;
} Direction;

typedef struct {
  long pictures, groups, lanes; /* summed in the same way: lanes are adjacent in memory, groups are not */
  long target_picture, target_group, source_picture, source_group;
  long width, margin; /* of a row halfway, in base positions: zeros on both sides where terms reach out */
  Direction down, across;
} Sums;

static inline long smaller(long a, long b) { return a < b ? a : b; }

#if defined(__x86_64__)
#define TARGET __attribute__((target("avx2,fma")))
#define BYTES 32
#else
#define TARGET
#define BYTES 16
#endif

#define MOST 6 /* the most terms that are summed at a time: the number of cases in sum_runs */

#define REAL float
#define NAME(name) name##_float
#include "_sums.h"
#undef REAL
#undef NAME
#define REAL double
#define NAME(name) name##_double
#include "_sums.h"

/* Phases are slots of one picture, in which base position q is row ``multiple`` q + slot; products, with multiple 0,
   have ``size`` rows each. */
static const long long *read_side(const long long *numbers, Side *side) {
  const long multiple = numbers[3], size = numbers[4];
  side->slots = numbers[0], side->step = numbers[1], side->slot_step = numbers[2];
  side->counts = malloc((side->slots + 1) * sizeof(long));
  for (long slot = 0; side->counts && slot < side->slots; slot++)
    side->counts[slot] = multiple ? (size - slot + multiple - 1) / multiple : size;
  return numbers + 5;
}

static const long long *read_direction(const long long *numbers, const double **factors, Direction *direction) {
  direction->count = *numbers++;
  numbers = read_side(numbers, &direction->target);
  numbers = read_side(numbers, &direction->source);
  direction->terms = *numbers++;
  direction->term = malloc((direction->terms + 1) * sizeof(Term));
  for (long t = 0; direction->term && t < direction->terms; t++, numbers += 3)
    direction->term[t] = (Term){numbers[0], numbers[1], numbers[2], *(*factors)++};
  return numbers;
}

static int is_complete(const Direction *direction) {
  return direction->term && direction->target.counts && direction->source.counts;
}

static void forget(Direction *direction) {
  free(direction->term);
  free(direction->target.counts);
  free(direction->source.counts);
}

static PyObject *add_up(PyObject *self, PyObject *arguments) {
  unsigned long long target, source, bias;
  int is_double, threads, complete = 0;
  Py_buffer plan, factors;
  if (!PyArg_ParseTuple(arguments, "pKKKiy*y*", &is_double, &target, &source, &bias, &threads, &plan, &factors))
    return NULL;
  Sums sums = {0};
  const long long *numbers = plan.buf;
  const double *factor = factors.buf;
  sums.pictures = numbers[0], sums.groups = numbers[1], sums.lanes = numbers[2];
  sums.target_picture = numbers[3], sums.target_group = numbers[4];
  sums.source_picture = numbers[5], sums.source_group = numbers[6];
  sums.width = numbers[7], sums.margin = numbers[8];
  numbers = read_direction(numbers + 9, &factor, &sums.down);
  read_direction(numbers, &factor, &sums.across);
  if (is_complete(&sums.down) && is_complete(&sums.across)) {
    Py_BEGIN_ALLOW_THREADS
    complete = is_double ? sum_all_double(&sums, (const double *)source, (double *)target, (const double *)bias, threads)
                         : sum_all_float(&sums, (const float *)source, (float *)target, (const float *)bias, threads);
    Py_END_ALLOW_THREADS
  }
  forget(&sums.down);
  forget(&sums.across);
  PyBuffer_Release(&plan);
  PyBuffer_Release(&factors);
  if (!complete) return PyErr_NoMemory();
  Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"add_up", add_up, METH_VARARGS,
     "add_up(is_double, target, source, bias, threads, plan, factors): addresses, and the plan as int64 and float64."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "layerkit.arithmetic.backends._sums", NULL, -1, methods};

PyMODINIT_FUNC PyInit__sums(void) {
  if (!processor_suits()) return NULL;
  return PyModule_Create(&module);
}
