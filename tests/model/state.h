/* Succession of epochs (6.5 to 6.7 of the protocols): what is durable, what was sent, what is counted.
 *
 * A step is one durable write or one HSM call. What was sent is a set that only grows, and whoever
 * may use a message may also never use it: so it is lost, late, repeated and overtaken, and a holder
 * that stops between two steps has crashed.
 *
 * Epochs have numbers: 0 is e, p + 1 the one that attempt p makes if its PROPOSE says NEW. Sets of
 * epochs and of attempts are bits. A succession replaces one epoch; attempts belong to one.
 */
#ifndef MODEL_STATE_H
#define MODEL_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MAX_HOLDERS = 6, MAX_ATTEMPTS = 4, MAX_SUCCESSIONS = 3 };
enum { NONE = -1 };
enum { GONE = MAX_ATTEMPTS + 1 }; /* in place of an epoch: no v that was published is left */

/* The register in the HSM (6.2.1). Attempts are numbered from 1 here, so that 0 is none. */
struct votes {
    uint8_t succession; /* h_e: how many successions this holder has behind it */
    uint8_t promised;   /* the number of α, which attempts of two coordinators may share */
    uint8_t acked;      /* 1 + attempt */
    uint8_t adopted;    /* 1 + attempt, which has one h' */
};

enum message { NOTHING, JOIN, ACK, DONE };

enum { OLD = 1, NEW = 2 };

struct holder {
    uint8_t place; /* OLD: one of e, NEW: one to whom a resharing deals (6.8); who stays is both */
    /* in the HSM */
    uint8_t keys; /* of epochs */
    struct votes votes;
    struct votes older;  /* the register object with the lower seq, while there are two */
    uint8_t two_objects; /* the newer is created, the older not yet destroyed */
    /* in memory, gone with the process */
    uint8_t unsent; /* enum message: waits for the register */
    uint8_t unsent_attempt;
    /* on disk */
    uint8_t blobs;    /* of epochs; the transcript of an epoch lies beside its blob */
    uint8_t retiring; /* the retire record's h', an epoch; 0 is none */
    /* sent */
    uint8_t joined[MAX_ATTEMPTS]; /* 1 + the adoption reported in JOIN, by the first of its number */
    uint8_t member;               /* of S in the NEW proposals of these attempts */
    uint8_t acks, dones;          /* in these attempts */
    uint8_t published;              /* the epoch of the DONE with its newest V, or GONE */
    uint8_t delivery[MAX_ATTEMPTS]; /* the epoch whose v reads what attempt p's dealers sent to it */
    uint8_t received; /* ACK': in these attempts, as a new holder (6.8.3) */
    uint8_t arrived;  /* DONE': of the epochs that these attempts made */
    /* what befell it */
    uint8_t lost;      /* its HSM */
    uint8_t replaced;  /* in these successions: repaired onto a new HSM (6.6.5) */
    uint8_t outdated;  /* attempts whose ROSTER' names the key of an HSM that it has lost since */
    uint8_t counted;   /* its DONE counts for the ORDER of these successions */
    uint8_t destroyed; /* KEK_e of these successions */
};

struct state {
    struct holder holder[MAX_HOLDERS]; /* the honest ones */
    uint8_t opened;                    /* attempts whose PROPOSE was sent */
    uint8_t redrive[MAX_ATTEMPTS];     /* the h' of a REDRIVE, an epoch; 0: NEW */
    uint8_t false_deal;                /* attempts with a traitor in S, who may cheat the absent */
    uint8_t ordered;                   /* attempts for which administrators signed an ORDER (6.5.9) */
    uint8_t losses, restores, repairs;
};

/* Each rule that can be weakened, and what it is then. */
#define WEAKENED_RULES(R)                                                                             \
    R(no_report, "6.5.2: JOIN reports no adoption")                                                   \
    R(any_adoption, "6.5.2: any adoption is carried on that JOINs report, not just the highest")      \
    R(split_goes_on, "6.5.2: goes on where two h' were adopted under the highest attempt number")     \
    R(unproven_report, "6.5.2: the adoption that JOIN reports need not be proven")                    \
    R(register_on_disk, "6.2: the register is rolled back with the disk")                             \
    R(replaced_counts, "6.5.9: the DONE of a holder that was replaced since counts for an ORDER")     \
    R(promise_disobeys, "6.5.9: who promised a higher attempt and adopted nothing does not obey")     \
    R(vote_below_promise, "6.5.1: DONE in an attempt below the promise")                              \
    R(ack_below_promise, "6.5.1: ACK in an attempt below the promise")                                \
    R(undecided_retires, "6.5.7: retires e once it has adopted h', whatever others have")             \
    R(unopened_retires, "6.5.7: retires e although its own share of h' does not open")                \
    R(uncertified, "6.5.4: the ACKs of t holders make a certificate")                                 \
    R(two_orders, "6.5.9: administrators sign two orders for one e")                                  \
    R(liar_counts, "6.5.9: a traitor's DONE counts for an ORDER")                                     \
    R(forgets, "6.6.5: a replaced holder does not take over the register")                            \
    R(keys_by_attempt, "6.2.2: two successors of one attempt have one wrapping key at a holder")      \
    R(either_register, "6.2.1: a start keeps either of two register objects")                         \
    R(any_epoch, "6.3: the JOIN of another succession counts")                                        \
    R(unproven, "6.1.4: joins the next succession before the retirement of e is proven")              \
    R(transcripts_go, "6.5.7: the transcripts that led to e are deleted with the blob of e")          \
    R(repair_reopens, "6.7.1: repaired onto e, although its register says that e was destroyed")      \
    R(repair_keeps, "6.7.5: repaired onto a later epoch, it keeps the keys of earlier ones")          \
    R(adopter_helps, "6.7.1: a helper that has adopted h' helps at e")                                \
    R(unarrived_votes, "6.8.4: an old holder votes once CERT is there, and not every DONE'")          \
    R(unarrived_retires, "6.8.4: RETIRE needs no DONE'")                                              \
    R(arrivals_vote, "6.8.4: DONE' counts as a vote")                                                 \
    R(arrived_signs, "6.8.4: a new holder signs from its DONE' on")                                   \
    R(two_protocols, "6.8: JOIN for the one kind of attempt reports no adoption in the other")        \
    R(unkept_arrivals, "6.8.4: who has voted does not keep the DONE's that it was shown")             \
    R(confirmed_goes, "6.5.10: a share by a resharing may go once its DONE' is said")

#define AS_FLAG(name, text) bool name;
struct weakened {
    WEAKENED_RULES(AS_FLAG)
};

struct model {
    int holders, threshold, join_size, retire_size; /* n, t, J, W */
    int traitors, losses, restores, repairs;        /* X; at most so many */
    int attempts, successions;
    int number[MAX_ATTEMPTS];     /* α */
    int succession[MAX_ATTEMPTS]; /* that the attempt belongs to */
    bool orders;                  /* administrators may sign an ORDER */
    bool bounded;                 /* losses stay in the bound of 6.1.3 where there is an ORDER */
    bool fine;                    /* each write and call is a step; else those of 6.9.1 */
    bool deliveries;              /* v is followed: who lost it cannot catch up */
    bool announced;               /* who retires e without a DONE says it then: its V' is known */
    bool waits;                   /* no coordinator goes on before everybody has retired e */
    bool stale;                   /* a coordinator names the V of epoch 0 for whoever is absent */
    bool current;                 /* holders refuse a PROPOSE with a V older than that of e */
    bool fair;                    /* a traitor may deal truly to whoever is absent, too */
    bool drops;                   /* dead staged shares may be dropped (6.5.10) */
    int new_holders, new_threshold; /* n' and t' of a resharing (6.8); 0: every attempt refreshes */
    int staying, new_traitors;    /* of the honest holders of e; among the new ones */
    bool refresh[MAX_ATTEMPTS];   /* the attempt is one, beside resharings */
    bool discards;                /* operators discard what was not confirmed (N2) */
    bool silent;                  /* traitors among the new holders say no DONE' */
    bool forgetful;               /* coordinators keep no DONE' */
    struct weakened weak;
};

extern struct model model;

/* Of both rosters: those of e, then those that come by a resharing. */
static inline int honest(void)
{
    return model.holders - model.traitors + model.new_holders - model.new_traitors - model.staying;
}
static inline bool in(unsigned set, int element) { return set >> element & 1; }
static inline uint8_t with(unsigned set, int element) { return (uint8_t)(set | 1u << element); }
static inline uint8_t without(unsigned set, int element) { return (uint8_t)(set & ~(1u << element)); }
static inline uint8_t only(int element) { return (uint8_t)(1u << element); }

/* messages.c: what follows from what was sent, and what a holder can open. */
int epoch_of(const struct state *s, int attempt);
int same_number(int attempt);
int base_of(const struct state *s, int succession);
int base_under(const struct state *s, int epoch);
bool certified(const struct state *s, int epoch);
int done_count(const struct state *s, int attempt);
int order_count(const struct state *s, int attempt);
bool counts_for_order(const struct holder *h, int attempt);
bool retirement_proven(const struct state *s, int attempt);
bool opens(const struct holder *h, int epoch);
bool opens_anything(const struct holder *h);
bool reads_deals(const struct holder *h, int attempt);
bool transcript_serves(const struct state *s, const struct holder *h, int attempt);
bool recoverable(const struct state *s, const struct holder *h, int epoch);

/* voting.c: which keys go and come together. */
unsigned named_alike(unsigned epochs);
void make_key(struct holder *h, int epoch);

/* resharing.c: who has a share of which epoch (6.8), and what new holders do. */
bool is_old(const struct holder *h);
bool is_reshared(int epoch);
bool has_seat(const struct holder *h, int epoch);
int threshold_of(int epoch);
bool all_received(const struct state *s, int epoch);
bool all_arrived(const struct state *s, int epoch);
bool arrivals_shown(const struct state *s, int epoch);
int arrivals(const struct state *s, int epoch);
bool may_go(const struct state *s, const struct holder *h, int epoch);
bool is_ended_for(const struct state *s, int epoch);
bool signs(const struct holder *h, int epoch);
void arrival_steps(const struct state *s, int who);

/* register.c: writing it, and what a start finds. */
void write_register(struct state *s, int who, struct votes votes, enum message message, int attempt);
bool writes_register(const struct holder *h);
void settle_register(struct holder *h, bool highest_wins);

/* Every step that may follow: register.c, voting.c, retiring.c, resharing.c, faults.c, coordinators.c. */
enum action {
    ASKED, PROPOSE, STAGE_KEY, STAGE_BLOB, ACKNOWLEDGE, ADOPT, CATCH_UP_KEY, CATCH_UP_BLOB, CATCH_UP,
    ORDER, OBEY, RETIRE, DESTROY, DELETE_BLOBS, NEXT_EPOCH, DROP,
    RECEIVE, CONFIRM, ARRIVE, DISCARD,
    DESTROY_OLDER, SEND, RESTART,
    LOSS, RESTORE, REPAIR,
    ACTIONS
};
void register_steps(const struct state *s, int who);
void repeat_steps(const struct state *s, int who);
void voting_steps(const struct state *s, int who);
void retiring_steps(const struct state *s, int who);
void fault_steps(const struct state *s, int who);
void repair_steps(const struct state *s, int who);
void lose_deliveries(const struct state *s, struct holder *h, unsigned kept);
void coordinator_steps(const struct state *s);
bool may_obey(const struct state *s, const struct holder *h, int attempt);

/* explore.c: takes a step's outcome. */
void reach(const struct state *next, enum action action, int who, int what);

/* invariants.c: the name of the first that does not hold, or NULL. */
struct tally {
    uint64_t proven, finished, quorum_after_catch_up;
};
const char *broken_invariant(const struct state *s, struct tally *tally);
bool completed(const struct state *s);
bool further_attempt(const struct state *s);

/* pack.c: one record for all states that differ only in which holder is which. */
enum { MAX_RECORD = 160 };
size_t prepare_packing(void);
void pack(const struct state *s, uint8_t *record);
void unpack(const uint8_t *record, struct state *s);

#endif
