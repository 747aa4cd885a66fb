/*
 * clerk -- what the files of the clerk share: clerk.c (words), clerk-login.c (who logs in), clerk-chain.c (back ends),
 * clerk-resolve.c (who gets the mail),
 * clerk-people.c (limits, groups) and clerk-commands.c (domain, account, alias on the command line)
 */
#ifndef ROLE_CLERK_H
#define ROLE_CLERK_H

#include "base/base64.h"
#include "base/map.h"
#include "directory/directory.h"
#include "directory/guard.h"
#include "directory/password.h"
#include "directory/resolve.h"
#include "directory/srs.h"
#include "policy/prober.h"
#include "role/enquiry.h"
#include "role/house.h"
#include "role/sasl-settings.h"

struct clerk_settings { bool userdb; int64_t cache_ms; const char *username_format, *username_chars, *username_translation, *default_realm, *sasl_local_domain, *master_separator;
	const char *delimiter; int64_t delay_ms, per_network, per_account;
	int64_t ban_failures, ban_within_ms, ban_ms, ban_longest_ms; struct setting_list ban_exceptions, sender_logins; };

struct exchange;
struct clerk {
	struct directory   *directory;
	struct errand       image_turn;       /* some of it is read into memory   */
	struct guard       *guard;
	struct watch       *watch;            /* clerk-guard.c */
	struct guard_limits limits;
	struct map         *exchanges;
	struct map         *full;             /* accounts that have not room for any letter: the room + 1 */
	struct together    *together;         /* what domains may hold: clerk-total.c */
	bool                full_later;       /* quota_full_tempfail             */
	int64_t             storage, grace;   /* quota_storage, quota_grace      */
	int64_t             largest;          /* letter that is taken; 0: any    */
	unsigned char       secret[DIRECTORY_SECRET];    /* SCRAM for names that do not exist */
	struct clerk_settings rows;
	char                origin[256];
	struct sasl_settings sasl;
	unsigned char       keys_seen[32];    /* digest of the Kerberos keys we have */
	struct token_keys  *tokens;           /* what OAuth tokens are signed with; NULL none */
	struct check_line { struct exchange *first, **last; } line[2];  /* passwords to be checked:
	                                      of those known, who go first; of others  */
	struct backend_file *backend_file;     /* passwd-files, as they were last read */
	struct map         *passed;           /* logins that were right a moment ago (clerk-chain.c) */
	uint32_t            tests;            /* logins that commands tried        */
	struct credential_backend *backend;    /* auth_backends, in their order  */
	size_t              backends;
	bool                mute[SASL_HASHES]; /* as it was told last             */
	struct map         *questions;        /* to other processes, of exchanges */
	uint32_t            last_question;
	struct wanting     *wanting;          /* commands that wait for a user's keeper */
	unsigned            checking, waiting, checkers, pauses;
	int64_t             slow_since_ms, slow_now_ms, slow_before_ms; /* clerk-login.c: how long refusals took */
	struct enquiries   *enquiries;        /* to tables that are elsewhere    */
	struct resolve_rules rules;           /* who gets the mail               */
	struct resolve_rules probing;         /* the same for who only asks about addresses */
	struct prober       prober;           /* who asks others so              */
	struct arena       *rules_life;
	struct timer       *system_look;      /* clerk-system.c                  */
	struct map         *system_missed;    /* uids that were not there, how often */
	struct map         *claimed;          /* domains of two settings, that were warned of */
	struct srs_settings  srs;             /* names for senders of forwarded mail */
	struct arena       *srs_life;
	uint32_t            owners_told;      /* the postmaster knows those below (clerk-owner.c) */
	struct map         *owners;           /* and what it said of them        */
	struct work        *owners_waiting;   /* until it has                    */
	struct map         *owners_said;      /* of whose mailboxes they cannot be, that was warned of */
	unsigned            changes;          /* of settings, tables, people: counted */
	unsigned            longs;            /* long lists that are gone through (clerk-resolve.c) */
	struct work        *first_long, **last_long;   /* and those that wait    */
	struct tables      *tables;           /* the local ones that settings name: role/tables.h */
};

/* What one command works on. */
struct order {
	struct house          *house;
	struct clerk          *clerk;
	struct caller         *caller;
	const struct word_ask *ask;
	struct bytes           first, second; /* argv[2], argv[3]; "" absent */
	bool                   json, kick, plain;
	size_t                 rows;
	uint64_t               account;       /* whom order_account() or order_finds() found, 0 nobody yet */
	struct bytes           person;        /* and his address, or an operating-system user's name */
	bool                   system;        /* he is one                       */
};
int order_finish(struct order *, enum directory_outcome, const char *what);      /* the exit status */
/* Rows of a list: an object of JSON is begun in *b and given away; the end of all. */
void order_json_text(struct buffer *, const char *);
void order_when(int64_t at, char out[static 24]);
void order_row_open(struct order *, struct buffer *);
void order_row_say(struct order *, struct buffer *);
void order_list_end(struct order *);
/* The sessions of an account end; nothing happens where there are none. */
void clerk_sessions_end(struct house *, struct bytes address, const char *words);
void clerk_account_out(struct house *, uint64_t account, const char *words);
/* clerk-person.c */
/* Whom the directory has under this name, or as an operating-system user; becomes e->first.  0 after saying why in *status. */
uint64_t order_account(struct order *, struct arena *, struct bytes address, int *status);
/* Something is to be said of somebody the directory may not have: true, he is looked for, gets a row, and `then` goes on with the command. */
bool order_finds(struct order *, int (*then)(struct order *));
/* clerk-system.c */
/* Of who logs in by this name, if there is a row of an operating-system user and it stands; 0: none. */
uint64_t clerk_system_account(struct clerk *, struct bytes user);
/* What is said of the user who has this name and this uid now: whether he may in, and another account that bounds him, for what was said of
   his name was said of another uid. */
struct system_standing { bool enabled; uint64_t before; };
enum directory_outcome clerk_system_standing(struct clerk *, struct bytes user, uint32_t uid, struct arena *, struct system_standing *out);
void clerk_system_look(struct house *);
/* A row of account list; and commands that name him: false, there is no such row.  order_system_is(): he of whom it was said has this uid and
   name now, and is the same. */
void order_system_say(void *order, const struct system_row *);
bool order_system_shown(struct order *);
bool order_system_deleted(struct order *, int *status);
bool order_system_is(struct order *, struct bytes uid, struct bytes name, int *status);
/* clerk-keeper.c: commands for operating-system users' keepers */
int run_keeper_call(struct order *);
void clerk_keeper_came(struct house *, uint32_t index);
bool hear_keeper_absent(struct house *, enum role from, uint32_t index, uint32_t ticket, struct bytes body);
void clerk_keepers_end(struct clerk *);
/* The sessions of a user whose keeper does not speak with us now end when it does. */
void clerk_out_wait(struct house *, uint32_t keeper, struct bytes body);
/* The word waits for a user's keeper that is asked for. */
void clerk_url_wait(struct house *, uint32_t keeper, struct bytes body, int fd);
/* clerk-url.c */
bool hear_url(struct house *, struct bytes body, int fd);
void clerk_url_hand_over(struct house *, uint32_t keeper, struct bytes body, int fd);
/* clerk-import.c */
int run_import(struct order *);
/* clerk-protection.c */
int run_account_app_password(struct order *);
int run_account_totp(struct order *);
int run_account_suspend(struct order *);
int run_account_resume(struct order *);
int order_set_bounds(struct order *);
void order_protection_say(struct order *, uint64_t account, struct buffer *);
int run_auth_failures(struct order *);
int run_auth_bans(struct order *);
int run_auth_ban(struct order *);
int run_auth_unban(struct order *);
/* clerk-people.c */
int order_set_limits(struct order *, const char *what);
/* "1G", "none" (0), "default" (-1). */
bool clerk_limit_read(struct bytes, int64_t *out);
int run_group_add(struct order *);
int run_group_join(struct order *);
int run_group_leave(struct order *);
int run_group_list(struct order *);
bool hear_limit_ask(struct house *, enum role from, uint32_t index, uint32_t ticket, struct bytes body);
/* clerk-total.c: what all accounts of a domain may hold together */
bool clerk_totals_open(struct house *);
void clerk_totals_settings(struct clerk *, const struct setting_list *percents);
void clerk_total_keeper_came(struct house *, uint32_t index);
void clerk_total_keeper_lost(struct house *, uint32_t index);
uint64_t clerk_total_room(struct clerk *, uint64_t account, struct bytes address);     /* for the next letter; UINT64_MAX: for any */
/* An account is gone; one is another id's now; limits that are not NULL are set, 0 none; a domain is gone. */
void clerk_total_gone(struct house *, uint64_t account);
void clerk_total_bound(struct house *, uint64_t was, uint64_t is);
enum directory_outcome clerk_total_set(struct house *, struct bytes domain, const uint64_t *bytes, const uint64_t *messages);
void clerk_total_forget(struct house *, struct bytes domain);
bool hear_share(struct house *, enum role from, uint32_t index, uint32_t ticket, struct bytes body);
bool hear_shares_told(struct house *, enum role from, uint32_t index, uint32_t ticket, struct bytes body);
/* Somebody's letter, or session, is about to come to this account: its keeper will ask for room. */
void clerk_total_meet(struct house *, uint64_t account);
bool hear_room_ask(struct house *, enum role from, uint32_t index, uint32_t ticket, struct bytes body);
bool hear_room_back(struct house *, enum role from, uint32_t index, uint32_t ticket, struct bytes body);
bool hear_total_ask(struct house *, enum role from, uint32_t index, uint32_t ticket, struct bytes body);
void order_total_say(struct order *, const char *domain, struct buffer *);
int run_domain_totals(struct order *);
/* clerk-sender.c */
bool hear_sender_ask(struct house *, enum role from, uint32_t index, uint32_t ticket, struct bytes body);
/* clerk-domain.c */
bool hear_domain_ask(struct house *, enum role from, uint32_t index, uint32_t ticket, struct bytes body);
/* clerk-resolve.c */
bool hear_resolve(struct house *, enum role from, uint32_t index, uint32_t ticket, struct bytes body);
bool hear_route(struct house *, enum role from, uint32_t index, uint32_t ticket, struct bytes body);
bool hear_mailbox_ask(struct house *, enum role from, uint32_t index, uint32_t ticket, struct bytes body);
bool hear_rewrite(struct house *, enum role from, uint32_t index, uint32_t ticket, struct bytes body);
bool hear_table_said(struct house *, enum role from, uint32_t index, uint32_t ticket, struct bytes body);
int run_address_test(struct order *);
/* clerk-lookup.c */
int run_address_lookup(struct order *);
int run_auth_user(struct order *);
void clerk_rules(struct house *, const struct common_settings *);
/* clerk-srs.c */
void clerk_srs_settings(struct house *);
/* clerk-onetime.c */
int run_account_one_time(struct order *);
/* clerk-sasl.c: what mechanisms need, at the start (before the cage closes) and when settings or files are new */
void clerk_sasl_settings(struct clerk *, struct house *);
/* clerk-login.c */
bool hear_auth_start(struct house *, enum role from, uint32_t index, uint32_t ticket, struct bytes body);
bool hear_auth_step(struct house *, enum role from, uint32_t index, uint32_t ticket, struct bytes body);
bool hear_auth_drop(struct house *, enum role from, uint32_t index, uint32_t ticket, struct bytes body);
void clerk_lost(struct house *, enum role, uint32_t index);
/* argv[2] is the user; behind it what is supposed: service=imap rip=192.0.2.1 */
void login_test(struct house *, struct caller *, const struct word_ask *, struct bytes password);
enum { COMPARED_WRONG = 77 };             /* the exit status of a wrong password */
/* clerk-chain.c */
void chain_settings(struct house *, const struct common_settings *);
void chain_files(struct house *);
bool hear_cred_said(struct house *, enum role from, uint32_t index, uint32_t ticket, struct bytes body);
void chain_lost(struct house *, enum role);
/* Whom the back ends know, without a password (directory/resolve.h: `person`). */
enum table_outcome chain_person(struct house *, struct lookups *, struct bytes address, struct arena *, struct directory_target *out, bool *unsaid);
/* What a back end says of an account: home, mail, quota_rule and their kin, when that is new. */
void clerk_apply_fields(struct house *, const char *address, struct bytes fields);
/* Whether the mailboxes lie outside the letter log: by these fields, the domain, mail_location, or virtual_mailbox_base if
   virtual_mailbox_maps have a path. */
bool clerk_lies_outside(struct house *, struct bytes address, struct bytes fields, bool has_path);
/* chain_person() in two steps: the name as back ends are asked for it, and one of them. */
bool chain_user(struct house *, struct bytes address, struct arena *, struct bytes *user);
enum table_outcome chain_person_at(struct house *, size_t backend, struct lookups *, struct bytes user, struct arena *, struct directory_target *out, bool *unsaid);
/* clerk-owner.c: whether this was not said yet, as long as the settings are the same. */
bool clerk_is_news(struct clerk *, const char *words);
/* clerk-owner.c: to whom the mailboxes are to belong, by these fields or mail_uid; *out NULL: to the keepers' own account.
   False: they cannot; said in the log. */
bool clerk_owner(struct house *, struct bytes address, struct bytes fields, struct arena *, const struct mail_owner **out);
/* An account is there, and was meant to belong to him; NULL: nothing was said. */
void clerk_owned(struct house *, const struct credential *, const struct mail_owner *meant);
/* The postmaster has said that it cannot be his. */
bool clerk_owner_is_wrong(struct house *, const struct credential *);
bool hear_owner_is(struct house *, enum role from, uint32_t index, uint32_t ticket, struct bytes body);
int run_account_own(struct order *);
/* clerk-people.c: what an operating-system user may hold */
void clerk_tell_system(struct house *, const struct system_row *);
void clerk_tell_limits(struct house *, struct bytes address);          /* clerk-people.c */
void clerk_owners_tell(struct house *);
void clerk_owners_again(struct house *);                     /* settings are new */
/* Its mailbox lies in this path under virtual_mailbox_base, if nothing is said of where it lies.  False: not now; said in
   the log. */
bool clerk_place(struct house *, struct bytes address, struct bytes path);
/* To the keeper that has the account: accounts that show one another something have one keeper (role/house.h). */
void clerk_say_gone(struct link *, const struct gone_row *);
void clerk_tell_people(struct house *, uint32_t keeper);

extern const struct setting_table clerk_setting_table;
void clerk_changed(struct house *);
/* clerk-sasl.c: whether every account has a verifier of SCRAM, as fronts are told when they come and when it changes. */
void clerk_mute_look(struct house *);
void clerk_mute_tell(const struct clerk *, struct link *);
uint64_t clerk_room(const struct clerk *, uint64_t account);     /* how large a letter it has room for */
void clerk_command(struct house *, struct caller *, const struct word_ask *);

#endif
