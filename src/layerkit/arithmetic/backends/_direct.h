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
#pragma omp parallel for num_threads(threads) schedule(dynamic, 4) if (threads > 1)
  for (long item = 0; item < g->pictures * g->rows; item++) {
    const long picture = item / g->rows, row = item % g->rows, start = row * g->stride_down - g->top;
    const Taps down = taps_inside(start, g->dilation_down, g->kernel_height, g->height);
    NAME(convolve_row)(g, x + picture * g->x_picture + start * g->x_row, down, inside, weight, bias,
                       y + picture * g->y_picture + row * g->y_row);
  }
}
