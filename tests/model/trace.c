/* A shortest way to a state, in words: records do not tell which holder is which, so it is walked
 * again from the start with holders that keep their names. */
#include "explore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const NAMES[ACTIONS] = {
    [ASKED] = "JOIN", [PROPOSE] = "PROPOSE", [STAGE_KEY] = "STAGE key",
    [STAGE_BLOB] = "STAGE blob", [ACKNOWLEDGE] = "ACK", [ADOPT] = "DONE",
    [CATCH_UP_KEY] = "CATCH-UP key", [CATCH_UP_BLOB] = "CATCH-UP blob", [CATCH_UP] = "CATCH-UP",
    [ORDER] = "ORDER", [OBEY] = "RETIRE register", [RETIRE] = "RETIRE record",
    [DESTROY] = "DESTROY key", [DELETE_BLOBS] = "DESTROY blobs", [NEXT_EPOCH] = "NEXT EPOCH",
    [DROP] = "DROP", [RECEIVE] = "ACK'", [CONFIRM] = "DONE'", [ARRIVE] = "ARRIVE",
    [DISCARD] = "DISCARD", [DESTROY_OLDER] = "register: older destroyed", [SEND] = "SEND",
    [RESTART] = "RESTART", [LOSS] = "LOSS", [RESTORE] = "RESTORE", [REPAIR] = "REPAIR",
};

static struct {
    const uint8_t *target;
    size_t wide;
    bool found;
    struct state next;
    enum action action;
    int who, what;
} step;

static void recognise(const struct state *next, enum action action, int who, int what)
{
    uint8_t record[MAX_RECORD];
    if (step.found)
        return;
    pack(next, record);
    if (memcmp(record, step.target, step.wide) != 0)
        return;
    step.found = true;
    step.next = *next;
    step.action = action;
    step.who = who;
    step.what = what;
}

static void print_set(const char *name, unsigned set)
{
    printf(" %s", name);
    for (int element = 0; element <= MAX_ATTEMPTS; element++)
        if (in(set, element))
            printf("%d", element);
}

static void print_holder(int index, const struct holder *h)
{
    static const char *const PLACES[] = {"", " leaves", " comes", " stays"};
    printf("    h%d%s%s%s at %d promised %d adopted %d", index + 1, PLACES[h->place], h->lost ? " LOST" : "",
           h->replaced ? " replaced" : "", h->votes.succession, h->votes.promised, h->votes.adopted);
    print_set("opens", opens_anything(h) ? h->keys & h->blobs : 0);
    print_set("keys", h->keys);
    print_set("member", (unsigned)h->member << 1);
    print_set("acks", (unsigned)h->acks << 1);
    print_set("dones", (unsigned)h->dones << 1);
    if (h->place & NEW) {
        print_set("received", (unsigned)h->received << 1);
        print_set("arrived", (unsigned)h->arrived << 1);
    }
    if (h->retiring)
        printf(" retires into %d", h->retiring);
    if (model.deliveries) {
        printf(" published %d delivery", h->published);
        for (int p = 0; p < model.attempts; p++)
            printf(" %d", h->delivery[p]);
    }
    putchar('\n');
}

static void print_step(void)
{
    printf("%s", NAMES[step.action]);
    if (step.who != NONE)
        printf(" h%d", step.who + 1);
    if (step.what != NONE)
        printf(" %d", step.what + 1);
    putchar('\n');
    for (int i = 0; i < honest(); i++)
        print_holder(i, &step.next.holder[i]);
}

void print_trace(uint32_t id)
{
    uint32_t length = 0, *path;
    struct state s;
    for (uint32_t at = id; at != 0; at = parent_of(at))
        length++;
    path = malloc((length + 1) * sizeof *path);
    if (path == NULL)
        exit(2);
    for (uint32_t at = id, left = length; left > 0; at = parent_of(at))
        path[--left] = at;
    unpack(record_of(0), &s);
    step.wide = prepare_packing();
    for (uint32_t n = 0; n < length; n++) {
        step.found = false;
        step.target = record_of(path[n]);
        watch_successors(&s, recognise);
        print_step();
        s = step.next;
    }
    free(path);
}
