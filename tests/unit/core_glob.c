/* core_glob.c - glob patterns: a table of what Redis says, a comparison with the plain recursive
 * definition on random input, and patterns made to explode. */
#include "core/glob.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static bool match(const char *pattern, const char *text)
{
    return glob_match(slice_str(pattern), slice_str(text), false);
}

static bool match_any_case(const char *pattern, const char *text)
{
    return glob_match(slice_str(pattern), slice_str(text), true);
}

Test(glob, words_and_wildcards)
{
    cr_assert(match("abc", "abc"));
    cr_assert(!match("abc", "abd"));
    cr_assert(!match("abc", "abcd"));
    cr_assert(!match("abcd", "abc"));
    cr_assert(!match("abc", "ABC"));
    cr_assert(match("*", "anything"));
    cr_assert(match("a*", "a"));
    cr_assert(match("a***", "a"));
    cr_assert(match("*a*b*c*", "xaxbxcx"));
    cr_assert(!match("*a*b*c", "xaxbxcx"));
    cr_assert(match("*ab", "aab"));
    cr_assert(match("*aab", "aaab"));
    cr_assert(match("a?c", "abc"));
    cr_assert(!match("a?c", "ac"));
    cr_assert(match("h?llo*d", "hello world"));
    cr_assert(!match("*x", "abc"));
}

Test(glob, only_the_empty_pattern_matches_nothing)
{
    cr_assert(match("", ""));
    cr_assert(!match("*", ""));
    cr_assert(!match("", "a"));
}

Test(glob, classes)
{
    cr_assert(match("[abc]", "b"));
    cr_assert(!match("[abc]", "d"));
    cr_assert(match("[^abc]", "d"));
    cr_assert(!match("[^abc]", "a"));
    cr_assert(match("[a-c]x", "bx"));
    cr_assert(match("[c-a]x", "bx"), "ends in the wrong order are swapped");
    cr_assert(!match("[a-c]", "-"));
    cr_assert(match("[a\\-c]", "-"));
    cr_assert(match("[\\]]", "]"));
    cr_assert(!match("[]", "]"), "an empty class matches nothing");
    cr_assert(match("[^]", "x"));
    cr_assert(match("[a-]x", "bx") == false);
    cr_assert(match("[a-]", "a"), "a range up to the bracket, which then closes nothing");
}

Test(glob, classes_without_end)
{
    cr_assert(!match("[", "["));
    cr_assert(match("[a", "a"));
    cr_assert(match("[^", "a"));
    cr_assert(match("[^a", "b"));
    cr_assert(match("[a-", "-"));
    cr_assert(match("[\\", "\\"));
}

Test(glob, escapes)
{
    cr_assert(match("a\\*c", "a*c"));
    cr_assert(!match("a\\*c", "abc"));
    cr_assert(match("\\?", "?"));
    cr_assert(match("a\\", "a\\"), "a last backslash stands for itself");
    cr_assert(match("\\\\", "\\"));
}

Test(glob, letters_of_either_case)
{
    cr_assert(match_any_case("abC*", "ABcd"));
    cr_assert(match_any_case("[a-c]", "B"));
    cr_assert(match_any_case("[ABC]", "b"));
    cr_assert(!match_any_case("[\\A]", "a"), "an escaped byte in a class keeps its case");
    cr_assert(match_any_case("\\A", "a"));
}

Test(glob, bytes_of_any_value)
{
    cr_assert(glob_match(slice_of("a*\0", 3), slice_of("axx\0", 4), false));
    cr_assert(!glob_match(slice_of("a\0b", 3), slice_of("a\0c", 3), false));
    cr_assert(match("\xff*", "\xff\xfe"));
}

Test(glob, literal)
{
    cr_assert(glob_is_literal(slice_str("plain:key")));
    cr_assert(glob_is_literal(slice_str("")));
    cr_assert(!glob_is_literal(slice_str("a*")));
    cr_assert(!glob_is_literal(slice_str("a?")));
    cr_assert(!glob_is_literal(slice_str("[a]")));
    cr_assert(!glob_is_literal(slice_str("a\\b")));
}

Test(glob, stars_without_number, .timeout = 10)
{
    enum { PAIRS = 900, TEXT = 20000 };
    char *pattern = calloc(PAIRS, 3);
    char *text = calloc(TEXT + 1, 1);
    for (int i = 0; i < PAIRS; i++) {
        strcat(pattern + 2 * i, "a*");
    }
    strcat(pattern, "b");
    memset(text, 'a', TEXT);
    cr_assert(!match(pattern, text));
    text[TEXT - 1] = 'b';
    cr_assert(match(pattern, text));
    free(pattern);
    free(text);
}

Test(glob, too_many_stars_never_match)
{
    char pattern[2 * 1100 + 2] = "";
    char text[3000] = "";
    for (int i = 0; i < 1000; i++) {
        strcat(pattern, "*a");
        strcat(text, "a");
    }
    cr_assert(match(pattern, text));
    strcat(pattern, "*a");
    strcat(text, "a");
    cr_assert(!match(pattern, text));
}

/* The definition without classes: what a star takes is tried in all lengths. */
static bool defined_match(const char *p, const char *t)
{
    if (*p == '\0' || *t == '\0') {
        while (*p == '*') {
            p++;
        }
        return *p == *t;
    }
    if (*p == '*') {
        return defined_match(p + 1, t) || defined_match(p, t + 1);
    }
    return (*p == '?' || *p == *t) && defined_match(p + 1, t + 1);
}

Test(glob, agrees_with_the_definition)
{
    srand(7);
    for (int round = 0; round < 200000; round++) {
        char pattern[10], text[12];
        int p = rand() % 9, t = 1 + rand() % 10;
        for (int i = 0; i < p; i++) {
            pattern[i] = "ab*?*"[rand() % 5];
        }
        for (int i = 0; i < t; i++) {
            text[i] = "ab"[rand() % 2];
        }
        pattern[p] = text[t] = '\0';
        cr_assert(match(pattern, text) == defined_match(pattern, text), "%s of %s", pattern, text);
    }
}
