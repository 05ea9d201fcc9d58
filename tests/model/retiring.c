/* From the proof of retirement to the register of h': S5 and S6 of 6.5, with 6.5.7 and 6.5.9. */
#include "state.h"

/* W DONEs bind everybody. An ORDER is not obeyed by whoever adopted another h' in an attempt that is
 * not below α; who adopted nothing obeys it, whatever it promised (6.5.9). */
bool may_obey(const struct state *s, const struct holder *h, int attempt)
{
    int adopted = h->votes.adopted - 1;
    if (done_count(s, attempt) >= model.retire_size)
        return true;
    if (adopted == NONE)
        return !model.weak.promise_disobeys;
    return epoch_of(s, adopted) == epoch_of(s, attempt) ||
           (!model.weak.promise_disobeys && model.number[adopted] < model.number[attempt]);
}

/* 6.5.7: the retire record, once the own share of h' opens, if it gets one (6.8.4). Where steps are fine the register names
 * h' before that: by a DONE, or now (S0 to S3: catch up, S4, S5). */
static void retire(const struct state *s, int who, int attempt)
{
    const struct holder *h = &s->holder[who];
    struct state next = *s;
    struct votes votes = h->votes;
    int epoch = epoch_of(s, attempt);
    bool named = votes.adopted && epoch_of(s, votes.adopted - 1) == epoch;
    bool has_base = in(h->keys, base_of(s, votes.succession)) || model.fine || model.successions > 1;
    if ((has_seat(h, epoch) && !opens(h, epoch) && !model.weak.unopened_retires) || h->retiring || !has_base)
        return;
    votes.adopted = (uint8_t)(attempt + 1);
    if (model.fine && !named && may_obey(s, h, attempt)) {
        write_register(&next, who, votes, NOTHING, attempt);
        reach(&next, OBEY, who, attempt);
    } else if (model.fine ? named : may_obey(s, h, attempt) || model.weak.undecided_retires) {
        next.holder[who].retiring = (uint8_t)epoch;
        if (!model.fine)
            next.holder[who].votes = votes;
        reach(&next, RETIRE, who, attempt);
    }
}

/* As in 6.9.1, where steps are coarse: key, blob and adoption at once. */
static void catch_up_to_retire(const struct state *s, int who, int attempt)
{
    const struct holder *h = &s->holder[who];
    struct state next = *s;
    int epoch = epoch_of(s, attempt);
    if (model.fine || opens(h, epoch) || !recoverable(s, h, epoch))
        return;
    make_key(&next.holder[who], epoch);
    next.holder[who].blobs = with(h->blobs, epoch);
    next.holder[who].votes.adopted = (uint8_t)(attempt + 1);
    reach(&next, CATCH_UP, who, attempt);
}

/* e, and every other staged attempt (6.5.7). */
static unsigned doomed(const struct holder *h)
{
    return without((1u << (model.attempts + 1)) - 1, h->retiring);
}

/* In 6.9.1 the destruction of KEK_e is one step with that of the staged keys. */
static unsigned old_keys(const struct state *s, const struct holder *h)
{
    unsigned old = h->keys & doomed(h);
    if (!model.fine && model.successions == 1 && !in(h->keys, base_of(s, 0)))
        return 0;
    return old;
}

static void destroy(const struct state *s, int who)
{
    const struct holder *h = &s->holder[who];
    int base = base_of(s, h->votes.succession);
    unsigned epochs = old_keys(s, h);
    for (int epoch = 0; epoch <= model.attempts; epoch++) {
        struct state next = *s;
        struct holder *me = &next.holder[who];
        if (!in(epochs, epoch))
            continue;
        me->keys = (uint8_t)(h->keys & ~(model.fine ? only(epoch) : epochs));
        if (model.weak.keys_by_attempt) /* by the name that each record of a doomed epoch has */
            me->keys = (uint8_t)(me->keys & ~named_alike(h->blobs & doomed(h)));
        if (in(h->keys, base) && !in(me->keys, base))
            me->destroyed = with(h->destroyed, h->votes.succession);
        reach(&next, DESTROY, who, model.fine ? epoch : base);
        if (!model.fine)
            return;
    }
}

/* 6.2.1: the register written anew for h', no vote in it; the retire record is of e and binds no
 * longer. 6.9 ends before this: there the last succession has no next. */
static void next_epoch(const struct state *s, int who)
{
    struct state next = *s;
    struct holder *me = &next.holder[who];
    struct votes votes = {(uint8_t)(me->votes.succession + 1), 0, 0, 0};
    if (votes.succession >= model.successions)
        return;
    if (model.announced)
        me->published = me->retiring;
    me->retiring = 0;
    write_register(&next, who, votes, NOTHING, 0);
    reach(&next, NEXT_EPOCH, who, NONE);
}

static void finish(const struct state *s, int who)
{
    const struct holder *h = &s->holder[who];
    struct state next = *s;
    unsigned old = doomed(h);
    if (opens(h, h->retiring) || !has_seat(h, h->retiring) || model.weak.unopened_retires)
        destroy(s, who);
    if (old_keys(s, h))
        return;
    if (h->blobs & old) {
        next.holder[who].blobs = (uint8_t)(h->blobs & ~old);
        reach(&next, DELETE_BLOBS, who, NONE);
    } else {
        next_epoch(s, who);
    }
}

void retiring_steps(const struct state *s, int who)
{
    const struct holder *h = &s->holder[who];
    for (int p = 0; p < model.attempts; p++) {
        if (model.succession[p] != h->votes.succession)
            continue;
        if (retirement_proven(s, p)) {
            retire(s, who, p);
            catch_up_to_retire(s, who, p);
        } else if (model.weak.undecided_retires && h->votes.adopted == p + 1) {
            retire(s, who, p);
        }
    }
    if (h->retiring)
        finish(s, who);
    if (model.weak.unproven && !h->retiring && h->votes.succession == 0 && h->votes.adopted &&
        epoch_of(s, h->votes.adopted - 1) == 1)
        next_epoch(s, who);
}
