/* What must hold in every state (6.9), and when a succession is complete. */
#include "state.h"

static bool could_open(const struct state *s, const struct holder *h, int epoch)
{
    if (opens(h, epoch))
        return true;
    return epoch > 0 && !h->lost && certified(s, epoch) && transcript_serves(s, h, epoch - 1) &&
           could_open(s, h, base_under(s, epoch));
}

/* The most honest holders that open one certified epoch, at once or after catching up. */
static int quorum(const struct state *s, bool (*with_it)(const struct state *, const struct holder *, int))
{
    int best = 0;
    for (int epoch = 0; epoch <= model.attempts; epoch++) {
        int count = 0;
        for (int i = 0; i < honest() && certified(s, epoch); i++)
            count += with_it(s, &s->holder[i], epoch);
        if (count > best)
            best = count;
    }
    return best;
}

static bool opens_now(const struct state *s, const struct holder *h, int epoch)
{
    (void)s;
    return opens(h, epoch);
}

/* I1: the successor that has a proof of retirement; NONE: no one; 0: two of them. */
static int successor(const struct state *s, int succession)
{
    int found = NONE;
    for (int p = 0; p < model.attempts; p++) {
        if (model.succession[p] != succession || !retirement_proven(s, p))
            continue;
        if (found != NONE && found != epoch_of(s, p))
            return 0;
        found = epoch_of(s, p);
    }
    return found;
}

/* I4: of two that retire e, both retire it for one h'. */
static bool one_retirement(const struct state *s, int succession)
{
    int found = NONE;
    for (int i = 0; i < honest(); i++) {
        const struct holder *h = &s->holder[i];
        if (h->votes.succession != succession || !h->retiring)
            continue;
        if (found != NONE && found != h->retiring)
            return false;
        found = h->retiring;
    }
    return true;
}

/* I2, where some leave and others come: the epoch in force is e until h' has its proof. */
static bool in_force_opens(const struct state *s)
{
    int found = successor(s, 0), epoch = found == NONE ? 0 : found, count = 0;
    for (int i = 0; i < honest(); i++)
        count += could_open(s, &s->holder[i], epoch);
    return count >= threshold_of(epoch);
}

static bool is_past(const struct holder *h, int succession)
{
    return in(h->destroyed, succession) || h->votes.succession > succession;
}

/* In a successor that never came to be. */
static bool signs_for_nothing(const struct state *s, const struct holder *h, int succession)
{
    for (int epoch = 1; epoch <= model.attempts; epoch++)
        if (signs(h, epoch) && epoch != successor(s, succession))
            return true;
    return false;
}

/* I5, with everybody alive past e. Counts such states. */
static bool nobody_opens_what_all_left(const struct state *s, int succession, struct tally *tally)
{
    int live = 0, base = base_of(s, succession);
    for (int i = 0; i < honest(); i++) {
        if (s->holder[i].lost || !is_old(&s->holder[i]))
            continue;
        live++;
        if (!is_past(&s->holder[i], succession))
            return true;
    }
    if (live > 0 && succession == model.successions - 1)
        tally->finished++;
    for (int i = 0; i < honest() && live > 0; i++)
        if (opens(&s->holder[i], base) || signs_for_nothing(s, &s->holder[i], succession))
            return false;
    return true;
}

/* I3: a KEK that a retirement destroyed is not there again. */
static bool stays_destroyed(const struct state *s, int succession)
{
    for (int i = 0; i < honest(); i++)
        if (in(s->holder[i].destroyed, succession) && in(s->holder[i].keys, base_of(s, succession)))
            return false;
    return true;
}

const char *broken_invariant(const struct state *s, struct tally *tally)
{
    for (int r = 0; r < model.successions && base_of(s, r) != NONE; r++)
        if (successor(s, r) == 0)
            return "I1";
    if (model.new_holders) {
        if (!in_force_opens(s))
            return "I2";
    } else if (quorum(s, opens_now) < model.threshold) {
        if (quorum(s, could_open) < model.threshold)
            return "I2";
        tally->quorum_after_catch_up++;
    }
    for (int r = 0; r < model.successions && base_of(s, r) != NONE; r++) {
        if (!stays_destroyed(s, r))
            return "I3";
        if (!one_retirement(s, r))
            return "I4";
        if (!nobody_opens_what_all_left(s, r, tally))
            return "I5";
    }
    tally->proven += successor(s, model.successions - 1) != NONE;
    return NULL;
}

/* Every holder of it that is alive opens the last h', and has come to it if it had no share before;
 * and nobody has the KEK of what it replaced. */
bool completed(const struct state *s)
{
    int last = model.successions - 1, epoch, live = 0;
    if (base_of(s, last) == NONE)
        return false;
    epoch = successor(s, last);
    if (epoch == NONE)
        return false;
    for (int i = 0; i < honest(); i++) {
        const struct holder *h = &s->holder[i];
        if (h->lost)
            continue;
        if (in(h->keys, base_of(s, last)))
            return false;
        if (!has_seat(h, epoch))
            continue;
        live++;
        if (!opens(h, epoch) || (!is_old(h) && h->retiring != epoch))
            return false;
    }
    return live >= threshold_of(epoch);
}

/* Progress is owed: nobody is lost, and each succession is decided or has its last attempt unused. For
 * a refresh nobody is needed who has no share of e. */
bool further_attempt(const struct state *s)
{
    for (int i = 0; i < honest(); i++)
        if (s->holder[i].lost && (is_old(&s->holder[i]) || is_reshared(model.attempts)))
            return false;
    for (int p = 0; p < model.attempts; p++) {
        int succession = model.succession[p];
        if (p + 1 < model.attempts && model.succession[p + 1] == succession)
            continue;
        if (succession < model.successions - 1 && base_of(s, succession + 1) != NONE)
            continue;
        if (in(s->opened, p))
            return false;
        for (int i = 0; i < honest(); i++)
            if (s->holder[i].votes.succession == succession && is_old(&s->holder[i]) &&
                s->holder[i].votes.promised >= model.number[p])
                return false;
    }
    return true;
}
