/* ab_chart_png.c - charts as PNG, drawn by gnuplot or by python3 with matplotlib, whichever is
 * there. They are fed through a pipe; no file but the picture is written. */
#include "bench/ab_chart.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PNG_WIDTH = 1200, PNG_PANEL_HEIGHT = 420, PNG_HEAD = 60,
       ROW_MAX = 5 /* series whose legend fits into one row */ };

static bool have(const char *command)
{
    return system(command) == 0;
}

/* In quotes that both programs read alike; what would end or escape them becomes a blank. */
static void quoted(FILE *f, const char *s)
{
    putc('\'', f);
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        putc(c < 32 || c > 126 || c == '\'' || c == '\\' ? ' ' : c, f);
    }
    putc('\'', f);
}

/* ---- gnuplot --------------------------------------------------------------------------------- */

static void gnuplot_panel(FILE *f, const struct ab_panel *p)
{
    for (int s = 0; s < p->series_count; s++) {
        fprintf(f, "$d%d << EOD\n", s);
        for (int i = 0; i < p->series[s].count; i++) {
            if (isfinite(p->series[s].y[i]) && (!p->log_y || p->series[s].y[i] > 0)) {
                fprintf(f, "%.9g %.9g\n", p->series[s].x[i], p->series[s].y[i]);
            }
        }
        fprintf(f, "EOD\n");
    }
    fprintf(f, p->series_count > ROW_MAX ? "set key outside right vertical\n"
                                         : "set key outside top left horizontal\n");
    fprintf(f, "set xlabel ");
    quoted(f, p->x_label);
    fprintf(f, "\nset ylabel ");
    quoted(f, p->y_label);
    fprintf(f, "\nunset arrow\nunset label\nset autoscale\n%s\n",
            p->log_y ? "set logscale y" : "unset logscale y");
    fprintf(f, p->y_from_zero && !p->log_y ? "set yrange [0:*]\n" : "set yrange [*:*]\n");
    if (p->tick_count > 0) {
        fprintf(f, "set xrange [%.9g:%.9g]\nset xtics (", p->tick_at[0], p->tick_at[p->tick_count - 1]);
        for (int i = 0; i < p->tick_count; i++) {
            fprintf(f, i ? ", " : "");
            quoted(f, p->tick_label[i]);
            fprintf(f, " %.9g", p->tick_at[i]);
        }
        fprintf(f, ")\n");
    } else {
        fprintf(f, "set xrange [0:*]\nset xtics autofreq\n");
    }
    if (p->has_bound) {
        fprintf(f, "set arrow from graph 0, first %.9g to graph 1, first %.9g nohead lc rgb '#b30000' dt 2\n"
                   "set label ", p->bound, p->bound);
        quoted(f, p->bound_label);
        fprintf(f, " at graph 0.99, first %.9g offset 0,0.6 right tc rgb '#b30000'\n", p->bound);
    }
    if (p->has_mark) {
        fprintf(f, "set arrow from first %.9g, graph 0 to first %.9g, graph 1 nohead lc rgb '#b30000' dt 2\n"
                   "set label ", p->mark, p->mark);
        quoted(f, p->mark_label);
        fprintf(f, " at first %.9g, graph 0.95 offset -1,0 right tc rgb '#b30000'\n", p->mark);
    }
    fprintf(f, "plot ");
    for (int s = 0; s < p->series_count; s++) {
        fprintf(f, "%s$d%d with %s lw 2 lc rgb '%s' dt %d title ", s ? ", " : "", s,
                p->series[s].dots ? "linespoints pt 7 ps 0.8" : "lines", ab_chart_colour(s),
                p->series[s].dashed ? 2 : 1);
        quoted(f, p->series[s].label);
    }
    fprintf(f, "\n");
}

static void write_gnuplot(FILE *f, const struct ab_chart *c, const char *path)
{
    fprintf(f, "set terminal pngcairo size %d,%d font 'DejaVu Sans,11'\nset output ", PNG_WIDTH,
            PNG_HEAD + c->panel_count * PNG_PANEL_HEIGHT);
    quoted(f, path);
    fprintf(f, "\nset multiplot layout %d,1 title ", c->panel_count);
    char title[AB_LABEL_BYTES * 4 + 4];
    snprintf(title, sizeof title, "%s   %s", c->title, c->subtitle);
    quoted(f, title);
    fprintf(f, " noenhanced\nset termoption noenhanced\nset grid xtics ytics lt 1 lw 1 lc rgb '#e4e4e4'\n"
               "set format y '%%.4g'\n");
    for (int i = 0; i < c->panel_count; i++) {
        gnuplot_panel(f, &c->panel[i]);
    }
    fprintf(f, "unset multiplot\n");
}

/* ---- matplotlib ------------------------------------------------------------------------------ */

static void numbers(FILE *f, const double *v, int n)
{
    putc('[', f);
    for (int i = 0; i < n; i++) {
        if (isfinite(v[i])) {
            fprintf(f, "%.9g,", v[i]);
        } else {
            fprintf(f, "float('nan'),");
        }
    }
    putc(']', f);
}

static void write_matplotlib(FILE *f, const struct ab_chart *c, const char *path)
{
    fprintf(f, "import matplotlib\nmatplotlib.use('Agg')\nimport matplotlib.pyplot as plt\n"
               "fig, axes = plt.subplots(%d, 1, figsize=(12, %.1f), squeeze=False)\nfig.suptitle(",
            c->panel_count, 0.6 + 4.2 * c->panel_count);
    char title[AB_LABEL_BYTES * 4 + 4];
    snprintf(title, sizeof title, "%s   %s", c->title, c->subtitle);
    quoted(f, title);
    fprintf(f, ")\n");
    for (int i = 0; i < c->panel_count; i++) {
        const struct ab_panel *p = &c->panel[i];
        fprintf(f, "a = axes[%d][0]\na.grid(True, color='#dddddd')\n", i);
        for (int s = 0; s < p->series_count; s++) {
            fprintf(f, "a.plot(");
            numbers(f, p->series[s].x, p->series[s].count);
            putc(',', f);
            numbers(f, p->series[s].y, p->series[s].count);
            fprintf(f, ", '%s%s', color='%s', label=", p->series[s].dashed ? "--" : "-",
                    p->series[s].dots ? "o" : "", ab_chart_colour(s));
            quoted(f, p->series[s].label);
            fprintf(f, ")\n");
        }
        fprintf(f, "a.set_xlabel(");
        quoted(f, p->x_label);
        fprintf(f, ")\na.set_ylabel(");
        quoted(f, p->y_label);
        fprintf(f, ")\n");
        fprintf(f, p->log_y ? "a.set_yscale('log')\n" : p->y_from_zero ? "a.set_ylim(bottom=0)\n" : "");
        if (p->tick_count > 0) {
            fprintf(f, "a.set_xticks(");
            numbers(f, p->tick_at, p->tick_count);
            fprintf(f, ", [");
            for (int t = 0; t < p->tick_count; t++) {
                quoted(f, p->tick_label[t]);
                putc(',', f);
            }
            fprintf(f, "])\n");
        }
        if (p->has_bound) {
            fprintf(f, "a.axhline(%.9g, color='#b30000', ls=':')\n", p->bound);
        }
        if (p->has_mark) {
            fprintf(f, "a.axvline(%.9g, color='#b30000', ls=':')\n", p->mark);
        }
        fprintf(f, "a.legend(loc='upper left')\n");
    }
    fprintf(f, "fig.tight_layout()\nfig.savefig(");
    quoted(f, path);
    fprintf(f, ")\n");
}

bool ab_chart_png(const struct ab_chart *c, const char *path, char err[300])
{
    bool gnuplot = have("gnuplot --version >/dev/null 2>&1");
    bool matplotlib = !gnuplot && have("python3 -c 'import matplotlib' >/dev/null 2>&1");

    if (strpbrk(path, "'\\\n")) {
        snprintf(err, 300, "%s: a file name without quotes and backslashes is wanted", path);
        return false;
    }
    if (!gnuplot && !matplotlib) {
        snprintf(err, 300, "%s: neither gnuplot nor python3 with matplotlib is installed (--svg needs "
                           "neither)", path);
        return false;
    }
    remove(path);
    signal(SIGPIPE, SIG_IGN);
    FILE *f = popen(gnuplot ? "gnuplot" : "python3 -", "w");
    if (!f) {
        snprintf(err, 300, "%s: cannot start %s", path, gnuplot ? "gnuplot" : "python3");
        return false;
    }
    if (gnuplot) {
        write_gnuplot(f, c, path);
    } else {
        write_matplotlib(f, c, path);
    }
    if (pclose(f) != 0) {
        snprintf(err, 300, "%s: %s failed", path, gnuplot ? "gnuplot" : "python3");
        return false;
    }
    return true;
}
