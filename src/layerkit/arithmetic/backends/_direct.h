/* The tiles of a convolution. _direct.c includes this for each type of number, REAL. */

typedef REAL NAME(lanes) __attribute__((vector_size(BYTES), aligned(sizeof(REAL)), may_alias));
#define LANES ((long)(BYTES / sizeof(REAL)))
#define LOAD(p) (*(const NAME(lanes) *)(p))
#define STORE(p, v) (*(NAME(lanes) *)(p) = (v))

/* Numbers below zero become zero; NaN stays. */
TARGET static inline __attribute__((always_inline)) NAME(lanes) NAME(rectify)(NAME(lanes) v) {
  const NAME(lanes) zero = {0};
  const __typeof__(v < zero) below = v < zero;
  return (NAME(lanes))((__typeof__(v < zero))v & ~below);
}

/* ``pixels`` neighbouring outputs of a row in ``vectors`` x LANES channels, which are the lanes:
       y[q][o] = bias[o] + sum over taps and channels c of x[q][tap][c] * weight[tap][c][o].
   The weight has a panel (kh, kw, C, LANES) for each vector. ``x`` is where tap (0, 0) of the first output sees, and
   only ``down`` and ``across`` are looked at. Of the channels, ``outputs`` are stored. */
TARGET static inline __attribute__((always_inline)) void NAME(lanes_out)(
    const Geometry *g, const REAL *x, Taps down, Taps across, const REAL *weight, const REAL *bias, REAL *y,
    const long pixels, const long vectors, long outputs) {
  const long panel = g->kernel_height * g->kernel_width * g->channels * LANES;
  const long step = g->stride_across * g->x_column, channel = g->x_channel;
  /* Taps of a row whose channels lie together are one run. */
  const int together = channel == 1 && g->dilation_across == 1 && g->x_column == g->channels;
  const long across_count = across.stop - across.first;
  const long runs = together ? across_count > 0 : across_count;
  const long length = together ? across_count * g->channels : g->channels;
  NAME(lanes) sum[MOST_PIXELS][3];
  UNROLL for (long v = 0; v < vectors; v++) {
    UNROLL for (long q = 0; q < pixels; q++) sum[q][v] = LOAD(bias + v * LANES);
  }
  for (long i = down.first; i < down.stop; i++) {
    for (long run = 0; run < runs; run++) {
      const long j = across.first + run;
      const REAL *from = x + i * g->dilation_down * g->x_row + j * g->dilation_across * g->x_column;
      const REAL *w = weight + (i * g->kernel_width + j) * g->channels * LANES;
      for (long c = 0; c < length; c++, from += channel, w += LANES) {
        NAME(lanes) factor[3];
        UNROLL for (long v = 0; v < vectors; v++) factor[v] = LOAD(w + v * panel);
        UNROLL for (long q = 0; q < pixels; q++) {
          const REAL value = from[q * step];
          UNROLL for (long v = 0; v < vectors; v++) sum[q][v] += value * factor[v];
        }
      }
    }
  }
  UNROLL for (long q = 0; q < pixels; q++) {
    REAL *place = y + q * g->y_column;
    UNROLL for (long v = 0; v < vectors; v++) {
      if (g->rectified) sum[q][v] = NAME(rectify)(sum[q][v]);
      if ((v + 1) * LANES <= outputs) STORE(place + v * LANES, sum[q][v]);
      else
        for (long o = v * LANES; o < outputs; o++) place[o] = sum[q][v][o - v * LANES];
    }
  }
}

/* The same for few outputs: the lanes are input channels, of which there is a multiple of LANES that lie together, and
   are added up at the end. The weight is (O, kh, kw, C). */
TARGET static inline __attribute__((always_inline)) void NAME(lanes_in)(
    const Geometry *g, const REAL *x, Taps down, Taps across, const REAL *weight, const REAL *bias, REAL *y,
    const long pixels, const long outputs) {
  const long panel = g->kernel_height * g->kernel_width * g->channels;
  const long step = g->stride_across * g->x_column;
  const int together = g->dilation_across == 1 && g->x_column == g->channels;
  const long across_count = across.stop - across.first;
  const long runs = together ? across_count > 0 : across_count;
  const long length = together ? across_count * g->channels : g->channels;
  NAME(lanes) sum[MOST_PIXELS][3] = {0};
  for (long i = down.first; i < down.stop; i++) {
    for (long run = 0; run < runs; run++) {
      const long j = across.first + run;
      const REAL *from = x + i * g->dilation_down * g->x_row + j * g->dilation_across * g->x_column;
      const REAL *w = weight + (i * g->kernel_width + j) * g->channels;
      for (long c = 0; c < length; c += LANES) {
        NAME(lanes) factor[3];
        UNROLL for (long o = 0; o < outputs; o++) factor[o] = LOAD(w + o * panel + c);
        UNROLL for (long q = 0; q < pixels; q++) {
          const NAME(lanes) values = LOAD(from + q * step + c);
          UNROLL for (long o = 0; o < outputs; o++) sum[q][o] += values * factor[o];
        }
      }
    }
  }
  UNROLL for (long q = 0; q < pixels; q++) {
    UNROLL for (long o = 0; o < outputs; o++) {
      REAL total = bias[o];
      UNROLL for (long lane = 0; lane < LANES; lane++) total += sum[q][o][lane];
      y[q * g->y_column + o * g->y_channel] = g->rectified && total < 0 ? 0 : total;
    }
  }
}

/* One row of outputs. Where all taps across are inside the picture, tiles of neighbours are made, the last of which may
   make some outputs again; elsewhere, and where a row is shorter than a tile, one output at a time. */
#define ROW(pixels, TILE)                                                                                           \
  do {                                                                                                              \
    for (long q = 0; q < g->columns;) {                                                                             \
      const long tile = q >= inside.first && inside.stop - inside.first >= (pixels) && q < inside.stop ? (pixels) : 1; \
      const long at = tile > 1 ? smaller(q, inside.stop - tile) : q, start = at * g->stride_across - g->left;       \
      const Taps across = taps_inside(start, g->dilation_across, g->kernel_width, g->width);                        \
      const REAL *from = x + start * g->x_column;                                                                   \
      REAL *to = y + at * g->y_column;                                                                              \
      if (tile > 1) TILE(pixels);                                                                                   \
      else TILE(1);                                                                                                 \
      q = at + tile;                                                                                                \
    }                                                                                                               \
  } while (0)

#define OUT(vectors, pixels) NAME(lanes_out)(g, from, down, across, w, b, to + o, pixels, vectors, g->outputs - o)
#define OUT_1(pixels) OUT(1, pixels)
#define OUT_2(pixels) OUT(2, pixels)
#define OUT_3(pixels) OUT(3, pixels)
#define IN(outputs, pixels) NAME(lanes_in)(g, from, down, across, weight, bias, to, pixels, outputs)
#define IN_1(pixels) IN(1, pixels)
#define IN_2(pixels) IN(2, pixels)
#define IN_3(pixels) IN(3, pixels)

TARGET static void NAME(convolve_row)(const Geometry *g, const REAL *x, Taps down, Taps inside, const REAL *weight,
                                      const REAL *bias, REAL *y) {
  if (g->lanes_in) {
    if (g->outputs == 1) ROW(12, IN_1);
    else if (g->outputs == 2) ROW(6, IN_2);
    else ROW(4, IN_3);
    return;
  }
  const long panel = g->kernel_height * g->kernel_width * g->channels * LANES;
  const long count = (g->outputs + LANES - 1) / LANES;
  for (long first = 0, some; first < count; first += some) {
    const long rest = count - first, o = first * LANES;
    const REAL *w = weight + first * panel, *b = bias + o;
    some = panels_at_once(rest);
    if (some == 3) ROW(4, OUT_3);
    else if (some == 2) ROW(6, OUT_2);
    else ROW(12, OUT_1);
  }
}

/* All rows, shared out among threads. */
static void NAME(convolve_all)(const Geometry *g, const REAL *x, const REAL *weight, const REAL *bias, REAL *y,
                               int threads) {
  const Taps inside = tiles_inside(g);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
  for (long item = 0; item < g->pictures * g->rows; item++) {
    const long picture = item / g->rows, row = item % g->rows, start = row * g->stride_down - g->top;
    const Taps down = taps_inside(start, g->dilation_down, g->kernel_height, g->height);
    NAME(convolve_row)(g, x + picture * g->x_picture + start * g->x_row, down, inside, weight, bias,
                       y + picture * g->y_picture + row * g->y_row);
  }
}

/* For i below count, target[i] = start[i] + sum over k below POINTS of factors[k] * source[k * step + i]; start may be
   NULL. What is below zero becomes zero if ``rectified``. */
TARGET static inline __attribute__((always_inline)) void NAME(mix)(REAL *target, const REAL *source, long step,
                                                                   const REAL *factors, const REAL *start, long count,
                                                                   int rectified) {
  const NAME(lanes) zero = {0};
  long i = 0;
  for (; i + LANES <= count; i += LANES) {
    NAME(lanes) sum = start ? LOAD(start + i) : zero;
    UNROLL for (long k = 0; k < POINTS; k++) sum += factors[k] * LOAD(source + k * step + i);
    STORE(target + i, rectified ? NAME(rectify)(sum) : sum);
  }
  for (; i < count; i++) {
    REAL sum = start ? start[i] : 0;
    for (long k = 0; k < POINTS; k++) sum += factors[k] * source[k * step + i];
    target[i] = rectified && sum < 0 ? 0 : sum;
  }
}

/* The values at all points of the tiles from ``first`` on that an input row has, (POINTS, tiles, C). */
TARGET static void NAME(to_points)(const Geometry *g, const REAL *x, const REAL *inputs, long first, long tiles,
                                   REAL *padded, REAL *values) {
  for (long tile = 0; tile < tiles; tile++) {
    const long start = (first + tile) * OUTPUTS - g->left;
    const REAL *source = x + start * g->x_column;
    long step = g->x_column;
    if (start < 0 || start + POINTS > g->width) {
      for (long k = 0; k < POINTS; k++) {
        const int is_inside = start + k >= 0 && start + k < g->width;
        for (long c = 0; c < g->channels; c++) padded[k * g->channels + c] = is_inside ? source[k * step + c] : 0;
      }
      source = padded, step = g->channels;
    }
    for (long point = 0; point < POINTS; point++)
      NAME(mix)(values + (point * tiles + tile) * g->channels, source, step, inputs + point * POINTS, NULL, g->channels, 0);
  }
}

/* ``count`` neighbouring tiles of outputs from their values. */
TARGET static inline __attribute__((always_inline)) void NAME(from_points)(
    const Geometry *g, const Geometry *products, const REAL *values, Taps down, const REAL *weight, const REAL *bias,
    const REAL *sums, REAL *y, long columns, long tiles, const long count, const long vectors, long outputs) {
  const REAL none[3 * LANES] = {0};
  REAL z[POINTS * MOST_PIXELS * LANES];
  const long width = vectors * LANES, panel = g->kernel_height * g->channels * LANES;
  const long panels = (g->outputs + LANES - 1) / LANES;
  for (long point = 0; point < POINTS; point++)
    NAME(lanes_out)(products, values + point * tiles * g->channels, down, (Taps){0, 1}, weight + point * panels * panel,
                    none, z + point * count * width, count, vectors, width);
  for (long r = 0; r < OUTPUTS; r++)
    for (long tile = 0; tile < count; tile++)
      if (tile * OUTPUTS + r < columns)
        NAME(mix)(y + (tile * OUTPUTS + r) * g->y_column, z + tile * width, count * width, sums + r * POINTS, bias,
                  smaller(width, outputs), g->rectified);
}

/* One row of a strip of tiles: groups of neighbours, the last of which may make some tiles again. */
#define GROUPS(count, vectors)                                                                                    \
  for (long t = 0, some; t < tiles; t += some) {                                                                  \
    some = tiles >= (count) ? (count) : 1;                                                                        \
    if (some > 1) t = smaller(t, tiles - some);                                                                   \
    const REAL *from = values + t * g->channels;                                                                  \
    REAL *to = y + t * OUTPUTS * g->y_column + o;                                                                 \
    const long rest = columns - t * OUTPUTS;                                                                      \
    if (some > 1) NAME(from_points)(g, products, from, down, w, b, sums, to, rest, tiles, count, vectors, left);  \
    else NAME(from_points)(g, products, from, down, w, b, sums, to, rest, tiles, 1, vectors, left);               \
  }

TARGET static void NAME(transform_row)(const Geometry *g, const Geometry *products, const REAL *values, Taps down,
                                       const REAL *weight, const REAL *bias, const REAL *sums, REAL *y, long columns,
                                       long tiles, long first, long some) {
  const long o = first * LANES, left = g->outputs - o;
  const REAL *w = weight + first * g->kernel_height * g->channels * LANES, *b = bias + o;
  if (some == 3) GROUPS(4, 3)
  else if (some == 2) GROUPS(6, 2)
  else GROUPS(12, 1)
}

/* All blocks of ROWS x TILES tiles, shared out among threads. Returns whether there was memory for it. */
static int NAME(transform_all)(const Geometry *g, const REAL *x, const REAL *weight, const REAL *bias, REAL *y,
                               const REAL *inputs, const REAL *sums, int threads) {
  const long tiles = (g->columns + OUTPUTS - 1) / OUTPUTS, strips = (tiles + TILES - 1) / TILES;
  const long blocks = (g->rows + ROWS - 1) / ROWS, reach = (g->kernel_height - 1) * g->dilation_down;
  const long vectors = (g->outputs + LANES - 1) / LANES, row_numbers = POINTS * TILES * g->channels;
  const size_t bytes = ((row_numbers * (ROWS + reach) + POINTS * g->channels) * sizeof(REAL) / 64 + 1) * 64;
  int complete = 1;
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    REAL *values = aligned_alloc(64, bytes);
    if (!values) {
#pragma omp atomic write
      complete = 0;
    } else {
      REAL *padded = values + row_numbers * (ROWS + reach);
#pragma omp for schedule(static)
      for (long item = 0; item < g->pictures * blocks * strips; item++) {
        const long picture = item / strips / blocks, top = item / strips % blocks * ROWS, first = item % strips * TILES;
        const long count = smaller(TILES, tiles - first), bottom = smaller(top + ROWS, g->rows), start = top - g->top;
        Geometry products = {.channels = g->channels, .outputs = g->outputs, .kernel_height = g->kernel_height};
        products.kernel_width = products.stride_across = products.dilation_across = products.x_channel = 1;
        products.dilation_down = g->dilation_down, products.x_row = POINTS * count * g->channels;
        products.x_column = g->channels;
        const REAL *from = x + picture * g->x_picture;
        for (long row = larger(0, start); row < smaller(g->height, bottom - g->top + reach); row++)
          NAME(to_points)(g, from + row * g->x_row, inputs, first, count, padded,
                          values + (row - start) * products.x_row);
        for (long panel = 0, some; panel < vectors; panel += some) {
          some = panels_at_once(vectors - panel);
          products.y_column = some * LANES;
          for (long row = top; row < bottom; row++) {
            const Taps down = taps_inside(row - g->top, g->dilation_down, g->kernel_height, g->height);
            NAME(transform_row)(g, &products, values + (row - top) * products.x_row, down, weight, bias, sums,
                                y + picture * g->y_picture + row * g->y_row + first * OUTPUTS * g->y_column,
                                g->columns - first * OUTPUTS, count, panel, some);
          }
        }
      }
    }
    free(values);
  }
  return complete;
}

#undef LOAD
#undef STORE
#undef LANES
#undef ROW
#undef OUT
#undef OUT_1
#undef OUT_2
#undef OUT_3
#undef IN
#undef IN_1
#undef IN_2
#undef IN_3
#undef GROUPS
