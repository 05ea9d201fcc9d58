/* Coordinators, of whom any may be a traitor and all may work at once, and administrators. */
#include "state.h"

/* What the JOINs of a join set report (6.5.2). */
struct reports {
    int highest;   /* the attempt of the adoption that is carried on; NONE: PROPOSE says NEW */
    bool conflict; /* two h' under that α: everybody stops */
    uint8_t all;   /* the h' of every adoption */
};

static void regard(const struct state *s, struct reports *reports, int adopted)
{
    int before = reports->highest;
    if (adopted == NONE)
        return;
    reports->all = with(reports->all, epoch_of(s, adopted));
    if (before == NONE || model.number[adopted] > model.number[before]) {
        reports->highest = adopted;
        reports->conflict = false;
    } else if (model.number[adopted] == model.number[before] &&
               epoch_of(s, adopted) != epoch_of(s, before)) {
        reports->conflict = true;
    }
}

/* JOIN of this attempt, as 1 + the adoption that it reports. */
static int joined(const struct holder *h, int attempt)
{
    int own = h->joined[same_number(attempt)];
    for (int p = 0; model.weak.any_epoch && !own && p < attempt; p++)
        if (model.number[p] == model.number[attempt] && h->joined[same_number(p)])
            own = 1;
    return own;
}

/* Older than e: of none of its successors either. */
static bool is_older(const struct state *s, int epoch, int succession)
{
    return epoch != GONE && epoch != base_of(s, succession) &&
           (epoch == 0 || model.succession[epoch - 1] != succession);
}

/* The epoch whose V a PROPOSE names (6.4.1): e for a member, unless it published none there; for who
 * is absent that of its newest DONE, or an older one. */
static int named_delivery(const struct state *s, const struct holder *h, int succession, bool member,
                          bool stale)
{
    if (!member)
        return stale ? 0 : h->published;
    return is_older(s, h->published, succession) ? h->published : base_of(s, succession);
}

/* HELLO' of every new holder: none of them is lost (6.8.1). */
static bool all_greet(const struct state *s, int attempt)
{
    for (int i = 0; i < honest() && is_reshared(attempt + 1); i++)
        if (s->holder[i].place & NEW && s->holder[i].lost)
            return false;
    return true;
}

static void open_new(const struct state *s, int attempt, unsigned members, bool false_deal, bool stale)
{
    struct state next = *s;
    int succession = model.succession[attempt];
    if (!all_greet(s, attempt))
        return;
    next.opened = with(s->opened, attempt);
    if (false_deal && !is_reshared(attempt + 1)) /* nobody who is dealt to is absent */
        next.false_deal = with(s->false_deal, attempt);
    for (int i = 0; i < honest(); i++) {
        struct holder *h = &next.holder[i];
        int epoch = named_delivery(s, h, succession, in(members, i), stale);
        if (in(members, i))
            h->member = with(h->member, attempt);
        if (model.current && is_older(s, epoch, succession))
            return;
        if (model.deliveries)
            h->delivery[attempt] = (uint8_t)epoch;
    }
    reach(&next, PROPOSE, NONE, attempt);
}

static void open_proposal(const struct state *s, int attempt, unsigned members, int traitors, int redrive)
{
    struct state next = *s;
    if (redrive) {
        next.opened = with(s->opened, attempt);
        next.redrive[attempt] = (uint8_t)redrive;
        reach(&next, PROPOSE, NONE, attempt);
        return;
    }
    for (int stale = 0; stale <= model.stale; stale++) {
        open_new(s, attempt, members, traitors > 0, stale);
        if (model.fair)
            open_new(s, attempt, members, false, stale);
    }
}

/* A traitor's JOIN in S may report the h' of any attempt above the honest reports, if certified; and
 * as if of such an attempt any h' that is certified, where none asks for the PROPOSE. */
static void propose_for(const struct state *s, int attempt, unsigned members, int traitors,
                        const struct reports *reports)
{
    int best = reports->highest;
    unsigned epochs = only(best == NONE ? 0 : epoch_of(s, best));
    if (model.weak.any_adoption)
        epochs |= reports->all;
    for (int p = 0; traitors > 0 && p < model.attempts; p++)
        if (model.succession[p] == model.succession[attempt] &&
            model.number[p] < model.number[attempt] &&
            (best == NONE || model.number[p] > model.number[best] || model.weak.unproven_report) &&
            certified(s, epoch_of(s, p)))
            epochs = with(epochs, epoch_of(s, p));
    for (int epoch = 0; epoch <= model.attempts; epoch++)
        if (in(epochs, epoch))
            open_proposal(s, attempt, members, traitors, epoch);
}

static bool is_reported(int adopted, int attempt)
{
    if (adopted != NONE && model.weak.two_protocols)
        return model.refresh[adopted] == model.refresh[attempt];
    return !model.weak.no_report;
}

/* 6.5.2 PROPOSE: every join set of J holders or more, with traitors in it or without. */
static void propose(const struct state *s, int attempt)
{
    for (unsigned members = 0; members < 1u << honest(); members++) {
        struct reports reports = {NONE, false, 0};
        int size = 0;
        bool all = true;
        for (int i = 0; i < honest(); i++) {
            int report;
            if (!in(members, i))
                continue;
            size++;
            report = joined(&s->holder[i], attempt);
            if (report == 0)
                all = false;
            else
                regard(s, &reports, is_reported(report - 2, attempt) ? report - 2 : NONE);
        }
        if (!all || (reports.conflict && !model.weak.split_goes_on))
            continue;
        for (int traitors = 0; traitors <= model.traitors; traitors++)
            if (size + traitors >= model.join_size)
                propose_for(s, attempt, members, traitors, &reports);
    }
}

/* 6.5.9 ORDER: for one attempt of a succession only, with t counted DONEs. */
static void order(const struct state *s, int attempt)
{
    struct state next = *s;
    if (!all_arrived(s, epoch_of(s, attempt)) || order_count(s, attempt) < model.threshold ||
        done_count(s, attempt) >= model.retire_size)
        return;
    for (int p = 0; p < model.attempts; p++)
        if (in(s->ordered, p) && model.succession[p] == model.succession[attempt] &&
            !model.weak.two_orders)
            return;
    next.ordered = with(s->ordered, attempt);
    for (int i = 0; model.bounded && i < honest(); i++)
        if (counts_for_order(&s->holder[i], attempt))
            next.holder[i].counted = with(s->holder[i].counted, model.succession[attempt]);
    reach(&next, ORDER, NONE, attempt);
}

/* As built: DESTROYED of everybody is there, which is said after the register of e is written. */
static bool may_begin(const struct state *s, int succession)
{
    for (int i = 0; model.waits && i < honest(); i++)
        if (s->holder[i].votes.succession < succession)
            return false;
    return true;
}

void coordinator_steps(const struct state *s)
{
    for (int p = 0; p < model.attempts; p++) {
        if (in(s->opened, p)) {
            if (model.orders)
                order(s, p);
        } else if (base_of(s, model.succession[p]) != NONE && may_begin(s, model.succession[p])) {
            propose(s, p);
        }
    }
}
