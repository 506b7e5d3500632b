/* The short convolution along the rows. _direct.c includes this after _direct.h, only for floats.

   A tile of OUTPUTS neighbouring outputs of a row takes POINTS products instead of three for each, where the values of
   its inputs at so many points are multiplied by those of the taps. For each point that is a convolution with a kernel
   of one column, which _direct.h computes. All values of a block of ROWS x TILES tiles are made first, so that they are
   still in the second cache when the rows of outputs that need them are made, three for each row of inputs. */

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
#pragma omp for schedule(dynamic)
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
