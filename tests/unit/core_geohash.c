/* core_geohash.c - places as integers, distances, and covers that miss nothing. */
#include "core/geohash.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static uint64_t random_state = 521288629u;

static double random_between(double min, double max)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return min + (max - min) * ((double)(random_state >> 11) / 0x1p53);
}

static struct geo_point random_point(double latitude_max)
{
    return (struct geo_point){random_between(-180, 180),
                              random_between(-latitude_max, latitude_max)};
}

/* The examples of Redis's documentation. */
static const struct geo_point palermo = {13.361389, 38.115556}, catania = {15.087269, 37.502669};

Test(geohash, known_places)
{
    char text[GEO_TEXT_CHARS + 1] = "";
    cr_assert_eq(geo_score(palermo), 3479099956230698);
    cr_assert_eq(geo_score(catania), 3479447370796909);
    geo_text(geo_decode(3479099956230698), text);
    cr_assert_str_eq(text, "sqc8b49rny0");
    geo_text(geo_decode(3479447370796909), text);
    cr_assert_str_eq(text, "sqdtr74hyu0");
    double metres = geo_distance(geo_decode(3479099956230698), geo_decode(3479447370796909));
    cr_assert_float_eq(metres, 166274.1516, 0.0001);
}

Test(geohash, encode_and_decode)
{
    for (int i = 0; i < 100000; i++) {
        struct geo_point p = random_point(GEO_LATITUDE_MAX);
        uint64_t score = geo_score(p);
        struct geo_point back = geo_decode((double)score);
        cr_assert_lt(score, (uint64_t)1 << 52);
        cr_assert_float_eq(p.longitude, back.longitude, 360.0 / (1 << 26));
        cr_assert_float_eq(p.latitude, back.latitude, 180.0 / (1 << 26));
        cr_assert_eq(geo_score(back), score);
    }
}

Test(geohash, any_score_is_a_place)
{
    const double scores[] = {-1, -0.0, 0.5, 1e300, -1e300, INFINITY, -INFINITY, 0x1p52, 0x1p63,
                             0x1p64, -0x1p63};
    for (unsigned i = 0; i < sizeof scores / sizeof scores[0]; i++) {
        cr_assert(geo_point_valid(geo_decode(scores[i])));
    }
}

static bool covered(const struct geo_cell *cells, unsigned count, struct geo_point p)
{
    const uint64_t score = geo_score(p);
    for (unsigned i = 0; i < count; i++) {
        uint64_t first, end;
        geo_cell_scores(cells[i], &first, &end);
        if (score >= first && score < end) {
            return true;
        }
    }
    return false;
}

/* Points around the center of a shape: those within it lie in the cells. Away from the poles, where
 * Redis's cells, and so ours, may miss some. */
Test(geohash, covers_miss_nothing)
{
    unsigned within = 0;
    for (int round = 0; round < 3000; round++) {
        struct geo_shape shape = {
            .center = {random_between(-150, 150), random_between(-60, 60)},
            .is_box = round % 2,
            .unit = round % 3 ? 1000 : 1,
        };
        shape.radius = pow(10, random_between(-1, 3));
        shape.width = pow(10, random_between(-1, 3));
        shape.height = pow(10, random_between(-1, 3));
        struct geo_cell cells[GEO_CELLS_MAX];
        unsigned count = geo_cover(&shape, cells);
        cr_assert(count >= 1 && count <= GEO_CELLS_MAX);
        const double reach = 1.2 * shape.unit / 111000 *
                             (shape.is_box ? fmax(shape.width, shape.height) : shape.radius);
        for (int i = 0; i < 20; i++) {
            struct geo_point p = {
                shape.center.longitude + random_between(-2, 2) * reach,
                shape.center.latitude + random_between(-1, 1) * reach,
            };
            double distance;
            if (geo_point_valid(p) && geo_within(&shape, p, &distance)) {
                cr_assert(covered(cells, count, p));
                within++;
            }
        }
    }
    cr_assert_gt(within, 5000);
}

Test(geohash, distances)
{
    const struct geo_point a = {0, 0}, b = {0, 1}, c = {1, 0}, far = {180, 0};
    cr_assert_float_eq(geo_distance(a, b), geo_distance(a, c), 0.001);
    cr_assert_float_eq(geo_distance(a, far), M_PI * 6372797.560856, 1);
    cr_assert_eq(geo_distance(b, b), 0);
}
