/* The register in the HSM (6.2.1): writing it takes two steps, and only then a message is sent.
 *
 * The new object is created with seq + 1, the older one destroyed; the message may go out before or
 * after that. A start that finds two objects keeps the one with the higher seq, and what was not sent
 * by then is repeated from the register or never sent.
 */
#include "state.h"

#include <string.h>

static void send(struct state *s, struct holder *h, enum message message, int attempt)
{
    switch (message) {
    case NOTHING:
        break;
    case JOIN:
        h->joined[attempt] = (uint8_t)(1 + h->votes.adopted);
        break;
    case ACK:
        h->acks = with(h->acks, attempt);
        break;
    case DONE:
        h->dones = with(h->dones, attempt);
        h->published = (uint8_t)(model.deliveries ? epoch_of(s, attempt) : 0);
        break;
    }
}

/* The first of its two steps, with the message that waits for it; all at once if steps are coarse. */
void write_register(struct state *s, int who, struct votes votes, enum message message, int attempt)
{
    struct holder *h = &s->holder[who];
    if (!model.fine) {
        h->votes = votes;
        send(s, h, message, attempt);
        return;
    }
    h->older = h->votes;
    h->votes = votes;
    h->two_objects = true;
    h->unsent = (uint8_t)message;
    h->unsent_attempt = (uint8_t)(message == NOTHING ? 0 : attempt);
}

bool writes_register(const struct holder *h)
{
    return h->two_objects || h->unsent != NOTHING;
}

static void forget_process(struct holder *h)
{
    memset(&h->older, 0, sizeof h->older);
    h->two_objects = false;
    h->unsent = NOTHING;
    h->unsent_attempt = 0;
}

/* As a start does: of two objects the higher seq wins. What waited in memory is gone. */
void settle_register(struct holder *h, bool highest_wins)
{
    if (!highest_wins && h->two_objects)
        h->votes = h->older;
    forget_process(h);
}

void register_steps(const struct state *s, int who)
{
    const struct holder *h = &s->holder[who];
    struct state next = *s;
    if (h->two_objects) {
        next.holder[who].two_objects = false;
        memset(&next.holder[who].older, 0, sizeof next.holder[who].older);
        reach(&next, DESTROY_OLDER, who, NONE);
    }
    if (h->unsent != NOTHING) {
        next = *s;
        send(&next, &next.holder[who], h->unsent, h->unsent_attempt);
        next.holder[who].unsent = NOTHING;
        next.holder[who].unsent_attempt = 0;
        reach(&next, SEND, who, h->unsent_attempt);
    }
    next = *s;
    settle_register(&next.holder[who], true);
    reach(&next, RESTART, who, NONE);
    if (model.weak.either_register && h->two_objects) {
        next = *s;
        settle_register(&next.holder[who], false);
        reach(&next, RESTART, who, NONE);
    }
}

/* After a start: an ACK or DONE that stands in the register and was not sent (S3, S4), or a DONE whose
 * V' went with a disk: the share was derived again, with another v'. */
void repeat_steps(const struct state *s, int who)
{
    const struct holder *h = &s->holder[who];
    const struct votes *votes = &h->votes;
    struct state next = *s;
    int acked = votes->acked - 1, adopted = votes->adopted - 1;
    if (acked != NONE && !in(h->acks, acked) && votes->promised == model.number[acked]) {
        send(&next, &next.holder[who], ACK, acked);
        reach(&next, SEND, who, acked);
    }
    next = *s;
    if (adopted != NONE && (!in(h->dones, adopted) || h->published == GONE) && votes->promised <= model.number[adopted] &&
        opens(h, epoch_of(s, adopted))) {
        send(&next, &next.holder[who], DONE, adopted);
        reach(&next, SEND, who, adopted);
    }
}
