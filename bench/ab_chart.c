/* ab_chart.c - see ab_chart.h. This file: scales and the SVG writer. ab_chart_png.c: the others. */
#include "bench/ab_chart.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    WIDTH = 960, PANEL_HEIGHT = 330, HEAD = 66, LEFT = 84, RIGHT = 30, LEGEND = 26, LEGEND_ROW = 20, FOOT = 48,
    TICKS_MAX = 32, Y_TICKS_WANTED = 7, X_TICKS_WANTED = 11,
};

/* Told apart by people with colour blindness, too (Okabe and Ito). */
static const char *const colours[AB_SERIES_MAX] = {
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9",
    "#444444", "#7a5195", "#8c6d31", "#31a354", "#b30000", "#888888",
};

const char *ab_chart_colour(int i)
{
    return colours[i % AB_SERIES_MAX];
}

struct scale {
    double low, high;
    double from, to; /* pixels */
    bool log;
};

static double place(const struct scale *s, double v)
{
    double low = s->low, high = s->high;
    if (s->log) {
        v = log10(v);
        low = log10(low);
        high = log10(high);
    }
    return s->from + (v - low) / (high - low) * (s->to - s->from);
}

int ab_chart_ticks(double low, double high, int max, double *out)
{
    double step = pow(10, floor(log10((high - low) / max)));
    static const double factors[] = {1, 2, 5, 10};
    int n = 0;

    if (!(high > low) || max < 2) {
        return 0;
    }
    for (int i = 0; i < 4; i++) {
        if ((high - low) / (step * factors[i]) <= max - 1 || i == 3) {
            step *= factors[i];
            break;
        }
    }
    for (double k = ceil(low / step - 1e-9); k * step <= high + step * 1e-9 && n < max; k++) {
        out[n++] = fabs(k * step) < step * 1e-9 ? 0 : k * step;
    }
    return n;
}

/* 1, 2 and 5 of every power of ten, or the powers alone when there are many. */
static int log_ticks(double low, double high, double *out)
{
    int n = 0, decades = (int)ceil(log10(high / low));
    for (int e = (int)floor(log10(low)); pow(10, e) <= high * 1.0001; e++) {
        static const double within[] = {1, 2, 5};
        for (int i = 0; i < (decades > 4 ? 1 : 3); i++) {
            double v = pow(10, e) * within[i];
            if (v >= low * 0.9999 && v <= high * 1.0001 && n < TICKS_MAX) {
                out[n++] = v;
            }
        }
    }
    return n;
}

void ab_chart_number(double v, char out[16])
{
    double size = fabs(v);
    if (size >= 1e6) {
        snprintf(out, 16, "%.4gM", v / 1e6);
    } else if (size >= 1e4 || (size >= 1e3 && fmod(size, 100) == 0)) {
        snprintf(out, 16, "%.4gk", v / 1e3);
    } else {
        snprintf(out, 16, "%.4g", v);
    }
}

/* The range of a panel's y values, rounded outwards to ticks. */
static void range_y(const struct ab_panel *p, struct scale *s)
{
    double low = INFINITY, high = -INFINITY;
    for (int i = 0; i < p->series_count; i++) {
        for (int k = 0; k < p->series[i].count; k++) {
            double v = p->series[i].y[k];
            if (isfinite(v) && (!p->log_y || v > 0)) {
                low = fmin(low, v);
                high = fmax(high, v);
            }
        }
    }
    if (p->has_bound) {
        low = fmin(low, p->bound);
        high = fmax(high, p->bound);
    }
    if (!isfinite(low)) {
        low = p->log_y ? 0.1 : 0;
        high = 1;
    }
    s->log = p->log_y;
    if (p->log_y) { /* outwards to the next 1, 2 or 5 */
        static const double steps[] = {1, 2, 5, 10};
        double below = pow(10, floor(log10(low))), above = pow(10, floor(log10(high)));
        int i = 3, k = 0;
        while (below * steps[i] > low * 1.0001) {
            i--;
        }
        while (above * steps[k] < high * 0.9999) {
            k++;
        }
        s->low = below * steps[i];
        s->high = above * steps[k];
        s->high = s->high <= s->low * 1.01 ? s->low * 10 : s->high;
        return;
    }
    low = p->y_from_zero ? 0 : low;
    high = high > low ? high : low + 1;
    s->low = low;
    s->high = high + (high - low) * 0.06;
}

static void range_x(const struct ab_panel *p, struct scale *s)
{
    double low = INFINITY, high = -INFINITY;
    for (int i = 0; i < p->series_count; i++) {
        for (int k = 0; k < p->series[i].count; k++) {
            low = fmin(low, p->series[i].x[k]);
            high = fmax(high, p->series[i].x[k]);
        }
    }
    if (p->tick_count > 0) {
        low = p->tick_at[0];
        high = p->tick_at[p->tick_count - 1];
    } else if (!isfinite(low)) {
        low = 0;
        high = 1;
    } else {
        low = low > 0 ? 0 : low;
        high = high > low ? high * 1.02 : low + 1;
    }
    s->low = low;
    s->high = high;
    s->log = false;
}

static void text(FILE *f, double x, double y, const char *attributes, const char *s)
{
    fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" %s>", x, y, attributes);
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '<' || c == '>' || c == '&' || c == '"') {
            fprintf(f, "&#%d;", c);
        } else {
            putc(c < 32 || c > 126 ? '?' : c, f);
        }
    }
    fprintf(f, "</text>\n");
}

static void line(FILE *f, double x1, double y1, double x2, double y2, const char *attributes)
{
    fprintf(f, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" %s/>\n", x1, y1, x2, y2,
            attributes);
}

static void draw_axes(FILE *f, const struct ab_panel *p, const struct scale *x, const struct scale *y)
{
    double ticks[TICKS_MAX];
    char label[16], turn[120];
    int n = p->log_y ? log_ticks(y->low, y->high, ticks)
                     : ab_chart_ticks(y->low, y->high, Y_TICKS_WANTED, ticks);

    for (int i = 0; i < n; i++) {
        double at = place(y, ticks[i]);
        line(f, x->from, at, x->to, at, "class=\"grid\"");
        ab_chart_number(ticks[i], label);
        text(f, x->from - 8, at + 4, "text-anchor=\"end\"", label);
    }
    n = p->tick_count;
    memcpy(ticks, p->tick_at, sizeof p->tick_at);
    if (n == 0) {
        n = ab_chart_ticks(x->low, x->high, X_TICKS_WANTED, ticks);
    }
    for (int i = 0; i < n; i++) {
        double at = place(x, ticks[i]);
        line(f, at, y->to, at, y->from, "class=\"grid\"");
        ab_chart_number(ticks[i], label);
        text(f, at, y->from + 18, "text-anchor=\"middle\"", p->tick_count ? p->tick_label[i] : label);
    }
    line(f, x->from, y->from, x->to, y->from, "class=\"axis\"");
    line(f, x->from, y->to, x->from, y->from, "class=\"axis\"");
    text(f, (x->from + x->to) / 2, y->from + 38, "text-anchor=\"middle\" class=\"label\"", p->x_label);
    snprintf(turn, sizeof turn, "text-anchor=\"middle\" class=\"label\" transform=\"rotate(-90 %.1f %.1f)\"",
             22.0, (y->from + y->to) / 2);
    text(f, 22, (y->from + y->to) / 2, turn, p->y_label);
}

static void draw_series(FILE *f, const struct ab_panel *p, int number, const struct scale *x,
                        const struct scale *y)
{
    const struct ab_series *s = &p->series[number];
    const char *dash = s->dashed ? " stroke-dasharray=\"7 4\"" : "";
    bool open = false;

    for (int i = 0; i < s->count; i++) {
        if (!isfinite(s->y[i]) || (p->log_y && s->y[i] <= 0) || s->x[i] < x->low || s->x[i] > x->high) {
            fprintf(f, open ? "\"/>\n" : "");
            open = false;
            continue;
        }
        if (!open) {
            fprintf(f, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" "
                       "stroke-linejoin=\"round\"%s points=\"", colours[number], dash);
            open = true;
        }
        fprintf(f, "%.1f,%.1f ", place(x, s->x[i]), place(y, s->y[i]));
    }
    fprintf(f, open ? "\"/>\n" : "");
    for (int i = 0; s->dots && i < s->count; i++) {
        if (isfinite(s->y[i]) && (!p->log_y || s->y[i] > 0)) {
            fprintf(f, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.2\" fill=\"%s\"/>\n", place(x, s->x[i]),
                    place(y, s->y[i]), colours[number]);
        }
    }
}

static void draw_marks(FILE *f, const struct ab_panel *p, const struct scale *x, const struct scale *y)
{
    if (p->has_bound) {
        double at = place(y, p->bound);
        line(f, x->from, at, x->to, at, "class=\"mark\"");
        /* On the left: curves over the rate climb across a bound on the right. */
        text(f, x->from + 8, at - 6, "class=\"marked\"", p->bound_label);
    }
    if (p->has_mark) {
        double at = place(x, p->mark);
        bool right = at > (x->from + x->to) / 2;
        line(f, at, y->to, at, y->from, "class=\"mark\"");
        text(f, right ? at - 8 : at + 8, y->to + 16,
             right ? "text-anchor=\"end\" class=\"marked\"" : "class=\"marked\"", p->mark_label);
    }
}

/* Rows of the legend, from the left; a label is taken to be 7 pixels wide per letter. Draws unless f
 * is NULL; returns the number of rows. */
static int legend(FILE *f, const struct ab_panel *p, double top)
{
    double at = LEFT;
    int rows = 1;
    for (int i = 0; i < p->series_count; i++) {
        const struct ab_series *s = &p->series[i];
        double width = 56 + 7.0 * (double)strlen(s->label);
        char attributes[120];
        if (at > LEFT && at + width > WIDTH) {
            at = LEFT;
            top += LEGEND_ROW;
            rows++;
        }
        if (f) {
            snprintf(attributes, sizeof attributes, "stroke=\"%s\" stroke-width=\"3\"%s", colours[i],
                     s->dashed ? " stroke-dasharray=\"7 4\"" : "");
            line(f, at, top + 10, at + 26, top + 10, attributes);
            text(f, at + 32, top + 14, "", s->label);
        }
        at += width;
    }
    return rows;
}

bool ab_chart_svg(const struct ab_chart *c, const char *path)
{
    FILE *f = fopen(path, "we");
    int height = HEAD + 8;

    if (!f) {
        return false;
    }
    for (int i = 0; i < c->panel_count; i++) {
        height += PANEL_HEIGHT + (legend(NULL, &c->panel[i], 0) - 1) * LEGEND_ROW;
    }
    fprintf(f, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
               "viewBox=\"0 0 %d %d\" font-family=\"DejaVu Sans, Helvetica, Arial, sans-serif\" "
               "font-size=\"12\" fill=\"#333\">\n", WIDTH, height, WIDTH, height);
    fprintf(f, "<style>.grid{stroke:#e4e4e4;stroke-width:1}.axis{stroke:#777;stroke-width:1}"
               ".label{font-size:13px}.mark{stroke:#b30000;stroke-width:1.5;stroke-dasharray:4 3}"
               ".marked{fill:#b30000;stroke:#fff;stroke-width:3px;paint-order:stroke}</style>\n");
    fprintf(f, "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n", WIDTH, height);
    text(f, LEFT, 28, "font-size=\"18\" font-weight=\"bold\"", c->title);
    text(f, LEFT, 50, "font-size=\"13\" fill=\"#666\"", c->subtitle);
    double top = HEAD;
    for (int i = 0; i < c->panel_count; i++, top += PANEL_HEIGHT) {
        double legend_top = top;
        top += (legend(NULL, &c->panel[i], 0) - 1) * LEGEND_ROW;
        struct scale x = {.from = LEFT, .to = WIDTH - RIGHT};
        struct scale y = {.from = top + PANEL_HEIGHT - FOOT, .to = top + LEGEND + 4};
        range_x(&c->panel[i], &x);
        range_y(&c->panel[i], &y);
        draw_axes(f, &c->panel[i], &x, &y);
        draw_marks(f, &c->panel[i], &x, &y);
        for (int s = 0; s < c->panel[i].series_count; s++) {
            draw_series(f, &c->panel[i], s, &x, &y);
        }
        legend(f, &c->panel[i], legend_top);
    }
    fprintf(f, "</svg>\n");
    bool ok = !ferror(f);
    return fclose(f) == 0 && ok;
}
