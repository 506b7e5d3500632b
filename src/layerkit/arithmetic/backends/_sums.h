/* One row of sums. _sums.c includes this for each type of number, REAL. */

typedef REAL NAME(lanes) __attribute__((vector_size(BYTES), aligned(sizeof(REAL)), may_alias));
#define LOAD(p) (*(const NAME(lanes) *)(p))
#define STORE(p, v) (*(NAME(lanes) *)(p) = (v))

/* For every one of ``runs``, which lie a step apart, and i below count,
       target[i] = start[i] + sum over terms of factors[t] * sources[t][offset + i];      start may be NULL. */
TARGET static inline __attribute__((always_inline)) void NAME(sum_terms)(
    REAL *target, long target_step, const REAL *const *sources, long offset, long source_step, const REAL *factors,
    long terms, const REAL *start, long start_step, long runs, long count) {
  const long one = BYTES / sizeof(REAL), two = 2 * one;
  const NAME(lanes) zero = {0};
  const REAL *from[MOST];
  REAL factor[MOST];
  for (long t = 0; t < terms; t++) from[t] = sources[t] + offset, factor[t] = factors[t];
  for (; runs-- > 0; target += target_step, start = start ? start + start_step : NULL) {
    long i = 0;
    for (; i + two <= count; i += two) {
      NAME(lanes) a = start ? LOAD(start + i) : zero, b = start ? LOAD(start + i + one) : zero;
      for (long t = 0; t < terms; t++) {
        a += factor[t] * LOAD(from[t] + i);
        b += factor[t] * LOAD(from[t] + i + one);
      }
      STORE(target + i, a);
      STORE(target + i + one, b);
    }
    for (; i + one <= count; i += one) {
      NAME(lanes) a = start ? LOAD(start + i) : zero;
      for (long t = 0; t < terms; t++) a += factor[t] * LOAD(from[t] + i);
      STORE(target + i, a);
    }
    for (; i < count; i++) {
      REAL a = start ? start[i] : 0;
      for (long t = 0; t < terms; t++) a += factor[t] * from[t][i];
      target[i] = a;
    }
    for (long t = 0; t < terms; t++) from[t] += source_step;
  }
}

/* The same, a few terms at a time: where the compiler knows their number, pointers and factors stay in registers. */
TARGET static void NAME(sum_runs)(REAL *target, long target_step, const REAL *const *sources, long offset,
                                  long source_step, const REAL *factors, long terms, const REAL *start, long runs,
                                  long count) {
  long start_step = 0;
  for (; terms > MOST; terms -= MOST, sources += MOST, factors += MOST, start = target, start_step = target_step)
    NAME(sum_terms)(target, target_step, sources, offset, source_step, factors, MOST, start, start_step, runs, count);
  switch (terms) {
#define CASE(n) \
  case n: NAME(sum_terms)(target, target_step, sources, offset, source_step, factors, n, start, start_step, runs, count); \
    break;
    CASE(0) CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6)
#undef CASE
  }
}

/* The sums that one row of base positions q needs: downwards into ``halfway``, from there across into the target. */
TARGET static void NAME(sum_row)(const Sums *sums, const REAL *source, REAL *target, const REAL *bias, long q,
                                 REAL *halfway, const REAL **sources, REAL *factors) {
  const Direction *down = &sums->down, *across = &sums->across;
  const long lanes = sums->lanes, width = sums->width, margin = sums->margin;
  REAL *scattered = halfway + across->source.slots * width * lanes;
  for (long slot = 0, first = 0, last; slot < down->target.slots; slot++, first = last) {
    for (last = first; last < down->terms && down->term[last].target == slot;) last++;
    if (q >= down->target.counts[slot]) continue;
    long terms = 0;
    for (long t = first; t < last; t++) {
      const Term *term = &down->term[t];
      long row = q + term->shift;
      if (row < 0 || row >= down->source.counts[term->source]) continue;
      sources[terms] = source + row * down->source.step + term->source * down->source.slot_step;
      factors[terms++] = (REAL)term->factor;
    }
    for (long from = 0; from < across->source.slots; from++) {
      REAL *sum = halfway + (from * width + margin) * lanes;
      const long step = across->source.step, offset = from * across->source.slot_step;
      const long count = smaller(across->source.counts[from], width - margin);
      if (step == lanes) {
        NAME(sum_runs)(sum, 0, sources, offset, 0, factors, terms, NULL, 1, count * lanes);
      } else if (lanes > 1) {
        NAME(sum_runs)(sum, lanes, sources, offset, step, factors, terms, NULL, count, lanes);
      } else {
        for (long i = 0; i < count; i++) {
          REAL a = 0;
          for (long t = 0; t < terms; t++) a += factors[t] * sources[t][offset + i * step];
          sum[i] = a;
        }
      }
    }
    REAL *line = target + q * down->target.step + slot * down->target.slot_step;
    for (long to = 0, begin = 0, end; to < across->target.slots; to++, begin = end) {
      REAL *place = line + to * across->target.slot_step;
      const long step = across->target.step, count = smaller(across->target.counts[to], across->count);
      terms = 0;
      for (end = begin; end < across->terms && across->term[end].target == to; end++) {
        const Term *term = &across->term[end];
        sources[terms] = halfway + (term->source * width + margin + term->shift) * lanes;
        factors[terms++] = (REAL)term->factor;
      }
      if (lanes > 1 && (bias || step != lanes)) {
        NAME(sum_runs)(place, step, sources, 0, lanes, factors, terms, bias, count, lanes);
      } else if (step == lanes && !bias) {
        NAME(sum_runs)(place, 0, sources, 0, 0, factors, terms, NULL, 1, count * lanes);
      } else {
        NAME(sum_runs)(scattered, 0, sources, 0, 0, factors, terms, NULL, 1, count);
        for (long i = 0; i < count; i++) place[i * step] = scattered[i] + (bias ? *bias : 0);
      }
    }
  }
}

/* All rows, shared out among threads. Returns whether there was memory for it. */
static int NAME(sum_all)(const Sums *sums, const REAL *source, REAL *target, const REAL *bias, int threads) {
  const long rows = sums->down.count, items = sums->pictures * sums->groups * rows;
  const long terms = sums->down.terms + sums->across.terms;
  const size_t halfway = (sums->across.source.slots * sums->width + sums->across.count) * sums->lanes;
  int complete = 1;
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    const size_t bytes = ((halfway + terms) * sizeof(REAL) / 64 + 1) * 64;
    REAL *memory = aligned_alloc(64, bytes);
    if (memory) memset(memory, 0, bytes);
    const REAL **sources = malloc((terms + 1) * sizeof(REAL *));
    if (!memory || !sources) {
#pragma omp atomic write
      complete = 0;
    } else {
#pragma omp for schedule(static)
      for (long item = 0; item < items; item++) {
        const long picture = item / rows / sums->groups, group = item / rows % sums->groups;
        NAME(sum_row)(sums, source + picture * sums->source_picture + group * sums->source_group,
                      target + picture * sums->target_picture + group * sums->target_group,
                      bias && sums->lanes == 1 ? bias + group : bias, item % rows, memory, sources, memory + halfway);
      }
    }
    free(memory);
    free(sources);
  }
  return complete;
}

#undef LOAD
#undef STORE
