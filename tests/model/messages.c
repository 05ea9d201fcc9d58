/* What follows from the messages that were sent, and what a holder can open. */
#include "state.h"

/* The h' of an attempt whose PROPOSE was sent: its own, or the one that it drives again (6.5.2). */
int epoch_of(const struct state *s, int attempt)
{
    return s->redrive[attempt] ? s->redrive[attempt] : attempt + 1;
}

/* The first attempt of the same α: one coordinator may open two proposals under it. */
int same_number(int attempt)
{
    int first = attempt;
    while (first > 0 && model.number[first - 1] == model.number[attempt] &&
           model.succession[first - 1] == model.succession[attempt])
        first--;
    return first;
}

/* The epoch that a succession replaces: e, then what was retired into (6.1.4). */
int base_of(const struct state *s, int succession)
{
    if (succession == 0)
        return 0;
    for (int p = 0; p < model.attempts; p++)
        if (model.succession[p] == succession - 1 && retirement_proven(s, p))
            return epoch_of(s, p);
    return model.weak.unproven ? 1 : NONE;
}

/* The epoch that `epoch` replaces. */
int base_under(const struct state *s, int epoch)
{
    return base_of(s, model.succession[epoch - 1]);
}

/* 6.5.4: ACKs of all of S; of a resharing ACK' of all new holders, too. A traitor has sent every ACK that it is asked for. */
bool certified(const struct state *s, int epoch)
{
    int attempt = epoch - 1, acks = model.traitors;
    bool all = true;
    if (epoch == 0)
        return true;
    if (!in(s->opened, attempt) || s->redrive[attempt])
        return false; /* there is no such epoch */
    for (int i = 0; i < honest(); i++) {
        acks += in(s->holder[i].acks, attempt);
        if (in(s->holder[i].member, attempt) && !in(s->holder[i].acks, attempt))
            all = false;
    }
    all = all && all_received(s, epoch);
    return all || (model.weak.uncertified && acks >= model.threshold);
}

/* DONEs with equal (α, h'). A traitor has sent every one. */
int done_count(const struct state *s, int attempt)
{
    int count = model.traitors + (model.weak.arrivals_vote ? arrivals(s, attempt + 1) : 0);
    for (int i = 0; i < honest(); i++)
        count += in(s->holder[i].dones, attempt);
    return count;
}

/* 6.5.9: neither a suspect, as every traitor and whoever is lost, nor replaced in this succession. */
bool counts_for_order(const struct holder *h, int attempt)
{
    return in(h->dones, attempt) && !(model.bounded && h->lost) &&
           (model.weak.replaced_counts || !in(h->replaced, model.succession[attempt]));
}

int order_count(const struct state *s, int attempt)
{
    int count = model.weak.liar_counts ? model.traitors : 0;
    for (int i = 0; i < honest(); i++)
        count += counts_for_order(&s->holder[i], attempt);
    return count;
}

/* M8: W DONEs with equal (α, h'), or an ORDER (6.5.7, 6.5.9); and every DONE' of a resharing (6.8.4).
 * Behind both is the certificate. */
bool retirement_proven(const struct state *s, int attempt)
{
    if (!model.weak.unarrived_retires && !all_arrived(s, epoch_of(s, attempt)))
        return false;
    return in(s->ordered, attempt) || done_count(s, attempt) >= model.retire_size;
}

/* Whoever is lost has no keys. */
bool opens(const struct holder *h, int epoch)
{
    return in(h->keys & h->blobs, epoch);
}

bool opens_anything(const struct holder *h)
{
    return h->keys & h->blobs;
}

/* It has the v whose V this attempt's PROPOSE names for it (6.4.1). */
bool reads_deals(const struct holder *h, int attempt)
{
    int epoch = h->delivery[attempt];
    return !model.deliveries || (epoch != GONE && opens(h, epoch));
}

/* Beside the blob. Who is past that epoch keeps it, for others may still be behind, unless its disk is
 * an old one: then nothing opens. */
static bool keeps_transcript(const struct holder *h, int attempt)
{
    if (in(h->blobs, attempt + 1))
        return true;
    return !model.weak.transcripts_go && opens_anything(h) &&
           h->votes.succession > model.succession[attempt];
}

/* Some holder has kept the transcript, and what it holds for `h` is true (6.4.7) and readable. What a
 * resharing dealt, v' alone reads, which lies beside the share. */
bool transcript_serves(const struct state *s, const struct holder *h, int attempt)
{
    if (is_reshared(attempt + 1))
        return false;
    if (in(s->false_deal, attempt) && !in(h->member, attempt))
        return false;
    for (int i = 0; i < honest(); i++)
        if (keeps_transcript(&s->holder[i], attempt))
            return reads_deals(h, attempt);
    return false;
}

/* Catch-up to a certified epoch is possible, and needed or not (6.5.5). */
bool recoverable(const struct state *s, const struct holder *h, int epoch)
{
    return epoch > 0 && certified(s, epoch) && opens(h, base_under(s, epoch)) &&
           transcript_serves(s, h, epoch - 1);
}
