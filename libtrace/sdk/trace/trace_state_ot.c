// SPDX-License-Identifier: Apache-2.0
// Reading and rewriting the `ot` member. A tracestate that reaches this was read by a propagator or
// written by us; still nothing is taken for granted but its bounds.

#include "libtrace/sdk/trace/trace_state_ot.h"

enum {
    MEMBERS_MAX = 32,   // W3C Trace Context 3.3.1.1
    LONG_MEMBER = 128,  // 3.3.1.5: longer ones are dropped first
    OT_VALUE_MAX = 256, // specification, "TraceState Handling"
    RANDOMNESS_DIGITS = 14,
};

// Cuts the next part before `separator` off; false when nothing is left.
static bool part_take(struct str *left, char separator, struct str *out_part)
{
    size_t end;

    if (left->len == 0)
        return false;
    end = str_find(*left, separator);
    *out_part = (struct str){left->at, end};
    *left = str_from(*left, end < left->len ? end + 1 : end);
    return true;
}

static bool hex_digits_read(struct str text, uint64_t *out_value)
{
    uint64_t value = 0;

    for (size_t i = 0; i < text.len; i++) {
        const char c = text.at[i];

        if (c >= '0' && c <= '9')
            value = value << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value << 4 | (uint64_t)(c - 'a' + 10);
        else
            return false;
    }
    *out_value = value;
    return true;
}

static void sub_key_read(struct str sub_key, struct trace_state_ot *ot)
{
    uint64_t value;

    if (sub_key.len < 4 || !hex_digits_read(str_from(sub_key, 3), &value))
        return;
    if (str_starts(sub_key, STR("th:")) && sub_key.len - 3 <= THRESHOLD_DIGITS) {
        ot->threshold = value << 4 * (THRESHOLD_DIGITS - (sub_key.len - 3));
        ot->has_threshold = true;
    }
    if (str_starts(sub_key, STR("rv:")) && sub_key.len - 3 == RANDOMNESS_DIGITS) {
        ot->randomness = value;
        ot->has_randomness = true;
    }
}

// The value of the first `ot` member; empty when there is none.
static struct str ot_value(struct str state)
{
    struct str member;

    while (part_take(&state, ',', &member)) {
        member = str_trim(member);
        if (str_starts(member, STR("ot=")))
            return str_from(member, 3);
    }
    return (struct str){"", 0};
}

struct trace_state_ot trace_state_ot_read(struct str state)
{
    struct trace_state_ot ot = {0};
    struct str left = ot_value(state);
    struct str sub_key;

    while (part_take(&left, ';', &sub_key))
        sub_key_read(sub_key, &ot);
    return ot;
}

size_t threshold_write(char out_text[static THRESHOLD_DIGITS + 1], uint64_t threshold)
{
    static const char digits[] = "0123456789abcdef";
    size_t len = THRESHOLD_DIGITS;

    for (size_t i = 0; i < THRESHOLD_DIGITS; i++)
        out_text[i] = digits[threshold >> 4 * (THRESHOLD_DIGITS - 1 - i) & 15];
    while (len > 1 && out_text[len - 1] == '0')
        len--;
    out_text[len] = '\0';
    return len;
}

// "ot=th:8;rv:..." into `out`, or nothing when there is nothing to say. What would be too long for
// the member loses the threshold: a wrong one would be worse than none.
static size_t ot_write(struct str former, const uint64_t *threshold,
                       char out[static OT_VALUE_MAX + 4])
{
    char digits[THRESHOLD_DIGITS + 1];
    struct str left = former;
    struct str sub_key;
    size_t len = 3;

    memcpy(out, "ot=", 3);
    if (threshold) {
        const size_t count = threshold_write(digits, *threshold);

        memcpy(out + len, "th:", 3);
        memcpy(out + len + 3, digits, count);
        len += 3 + count;
    }
    while (part_take(&left, ';', &sub_key)) {
        const bool is_first = len == 3;

        if (sub_key.len == 0 || str_starts(sub_key, STR("th:")))
            continue;
        if (len - 3 + sub_key.len + !is_first > OT_VALUE_MAX)
            return threshold ? ot_write(former, NULL, out) : len;
        if (!is_first)
            out[len++] = ';';
        memcpy(out + len, sub_key.at, sub_key.len);
        len += sub_key.len;
    }
    return len > 3 ? len : 0;
}

struct members {
    struct str list[MEMBERS_MAX];
    size_t count;
    size_t len; // of all together, with commas
};

static void member_remove(struct members *members, size_t index)
{
    members->len -= members->list[index].len + (members->count > 1);
    members->count--;
    memmove(&members->list[index], &members->list[index + 1],
            (members->count - index) * sizeof members->list[0]);
}

// The first member is ours and stays.
static void members_fit(struct members *members, size_t room)
{
    for (size_t i = members->count; i > 1 && members->len > room; i--) {
        if (members->list[i - 1].len > LONG_MEMBER)
            member_remove(members, i - 1);
    }
    while (members->len > room && members->count > 0)
        member_remove(members, members->count - 1);
}

static void member_add(struct members *members, struct str member)
{
    if (members->count == MEMBERS_MAX)
        return;
    members->len += member.len + (members->count > 0);
    members->list[members->count++] = member;
}

struct str trace_state_threshold_set(struct str state, const uint64_t *threshold,
                                     char out_room[static TRACE_STATE_ROOM])
{
    const struct str former = ot_value(state);
    char ot[OT_VALUE_MAX + 4];
    struct members members = {.count = 0};
    struct str left = state;
    struct str member;
    size_t len = 0;

    if (!threshold && !trace_state_ot_read(state).has_threshold)
        return state;
    len = ot_write(former, threshold, ot);
    if (len)
        member_add(&members, (struct str){ot, len});
    while (part_take(&left, ',', &member)) {
        member = str_trim(member);
        if (member.len && !str_starts(member, STR("ot=")))
            member_add(&members, member);
    }
    members_fit(&members, TRACE_STATE_ROOM);
    len = 0;
    for (size_t i = 0; i < members.count; i++) {
        if (i)
            out_room[len++] = ',';
        memcpy(out_room + len, members.list[i].at, members.list[i].len);
        len += members.list[i].len;
    }
    return (struct str){out_room, len};
}
