/* ab_chart.h - line charts: panels with axes, series and a legend, as SVG or, by other programs, PNG.
 *
 *   ┌ title ──────────────────────────────┐
 *   │ ── GET   ── SET                     │  legend, in the order of the series
 *   │ 10 ┤          ╭──                   │
 *   │  1 ┤──────────╯                     │  panels below each other, all with the same width
 *   │    └┬────┬────┬────┬─ x label       │
 *   └─────────────────────────────────────┘
 *
 * A chart is drawn from numbers alone, so the three writers (SVG here, gnuplot, matplotlib) show the
 * same. Logarithmic axes leave out what is not above 0.
 *
 * Thread: main thread only.
 */
#ifndef ASHLAR_BENCH_AB_CHART_H
#define ASHLAR_BENCH_AB_CHART_H

#include <stdbool.h>

enum { AB_SERIES_MAX = 12, AB_PANELS_MAX = 3, AB_CHART_TICKS_MAX = 16, AB_LABEL_BYTES = 120 };

struct ab_series {
    char label[AB_LABEL_BYTES];
    const double *x, *y; /* the caller's */
    int count;
    bool dashed, dots;
};

struct ab_panel {
    char x_label[AB_LABEL_BYTES], y_label[AB_LABEL_BYTES];
    bool log_y;
    bool y_from_zero;
    struct ab_series series[AB_SERIES_MAX];
    int series_count;
    /* Ticks of x by hand; 0: chosen. x then runs from the first to the last. */
    int tick_count;
    double tick_at[AB_CHART_TICKS_MAX];
    char tick_label[AB_CHART_TICKS_MAX][16];
    /* Lines across: a bound, and a place on x. */
    bool has_bound, has_mark;
    double bound, mark;
    char bound_label[AB_LABEL_BYTES], mark_label[AB_LABEL_BYTES];
};

struct ab_chart {
    char title[AB_LABEL_BYTES * 2];
    char subtitle[AB_LABEL_BYTES * 2];
    struct ab_panel panel[AB_PANELS_MAX];
    int panel_count;
};

/* False: errno says why. */
bool ab_chart_svg(const struct ab_chart *c, const char *path);
/* By gnuplot if there is one, else by python3 with matplotlib. False: err says why. */
bool ab_chart_png(const struct ab_chart *c, const char *path, char err[300]);

/* The colour of series i, "#rrggbb". */
const char *ab_chart_colour(int i);
/* Round numbers from low to high, at most max; returns how many. */
int ab_chart_ticks(double low, double high, int max, double *out);
/* "1.5k", "20M", "0.25" */
void ab_chart_number(double v, char out[16]);

#endif
