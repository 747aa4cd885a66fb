/*
 * settings -- what an administrator may say about one SMTP or LMTP listener
 *
 * receiver_settings_fill() fills the struct for a listener: what main.cf says of it
 *     ("submission/name = value"), else what that kind of listener stands for (STARTTLS and
 *     a login on submission, ...), else what main.cf says of all, else the row's standard.
 * receiver_config is one listener's settings with what the role adds; sessions
 *     share it, and after a reload the old one lives until its last session ends:
 *     receiver_config_take() and _drop() count.
 */
#ifndef SMTP_RECEIVER_SETTINGS_H
#define SMTP_RECEIVER_SETTINGS_H

#include "base/setting.h"
#include "channel/peer.h"
#include "channel/tls.h"
#include "smtp/receiver/characters.h"

enum tls_level { TLS_UNSAID, TLS_NONE, TLS_MAY, TLS_ENCRYPT };
enum bare_newline { BARE_NORMALIZE, BARE_REJECT, BARE_YES /* normalize, too */, BARE_NO, BARE_NOTE };
/* What becomes of a client that speaks before its turn: it is told of in the log, every recipient is refused, or it is sent away. */
enum screen_action { SCREEN_IGNORE, SCREEN_ENFORCE, SCREEN_DROP };
/* Whose MT-PRIORITY is believed; nobody's: it is not offered. */
enum priority_permitted { PRIORITY_NOBODY, PRIORITY_USERS, PRIORITY_TRUSTED, PRIORITY_ALL };
/* What becomes of a From that is not the user's. */
enum from_check { FROM_UNCHECKED, FROM_REFUSED, FROM_REWRITTEN };
enum receiver_kind { KIND_SMTP, KIND_SUBMISSION, KIND_SUBMISSIONS, KIND_LMTP, KINDS };

struct receiver_settings {
	/* TLS and logins */
	int     tls_level;              /* enum tls_level                      */
	bool    tls_wrappermode, tls_auth_only;
	bool    use_tls, enforce_tls;   /* the old way to say tls_level        */
	bool    tls_received_header;
	int64_t tls_loglevel;
	bool    auth_enable, auth_required;
	struct setting_list auth_mechanisms, sasl_options, sasl_tls_options, auth_exceptions;
	bool    auth_header;            /* Received fields tell who logged in  */
	bool    auth_equals;            /* broken_sasl_auth_clients            */
	/* manners */
	const char *banner;
	const char *reject_footer;      /* "" none                            */
	struct setting_list footer_tables, command_tables, noops;
	bool    port_logging;
	bool    peername_lookup;
	int     proxy;                  /* not 0: a header of the PROXY protocol comes first */
	int64_t proxy_timeout;
	struct setting_list verp_clients;
	const char *verp_delimiters, *verp_filter;
	bool    soft_bounce;
	struct setting_list expn_hosts, flush_domains, xclient_hosts, xforward_hosts;
	bool    helo_required, vrfy_disabled, strict_envelopes, hyphen_allowed;
	bool    utf8, strict_utf8;      /* rfc6531                             */
	struct setting_list discarded;  /* words of EHLO                       */
	struct setting_list discarded_of; /* the same by address, tables       */
	int64_t future_release, deliver_by_least;
	int     priority_permitted;     /* enum priority_permitted             */
	struct setting_list no_soliciting;
	int64_t session_domains;
	int     bare_newline;           /* enum bare_newline                   */
	int64_t bare_newline_code;
	const char *reject_characters;  /* as it is written, "" none            */
	struct setting_list bare_newline_exclusions;
	struct setting_list forbidden_commands;
	/* what is made of a letter's header */
	struct setting_list drop_fields;
	bool    add_missing;
	struct setting_list local_clients;
	struct setting_list known_certificates;   /* relay_clientcerts, which is another table's */
	const char *remote_domain;      /* "" none                            */
	int     from_check;             /* enum from_check                      */
	const char *content_filter;     /* "transport:nexthop", "" none        */
	/* sizes */
	int64_t message_size, line_length, header_size, header_total;
	int64_t recipients, recipients_stranger, overshoot, hopcount, letters_memory;
	/* patience */
	int64_t history_lines;
	int64_t timeout, starttls_timeout, min_data_rate;
	int64_t hard_errors, soft_errors, error_sleep, junk_commands;
	bool    deadline, forbid_pipelining;
	const char *old_deadline;       /* the same by its old name            */
	/* before the greeting */
	bool    screen, screen_pipelining;
	int     greet_action, pipelining_action, deny_action;   /* enum screen_action */
	int     old_deny_action;        /* the same by its old name            */
	int64_t greet_wait, greet_ttl;
	const char *greet_banner, *stress;
	struct setting_list screen_allow, screen_access;
	/* rates */
	int64_t rate_unit, status_update;
	int64_t connections, session_messages, account_messages, account_recipients;
	int64_t account_hour, account_day;
	struct setting_list account_limits;
	int64_t connection_count, connection_rate, message_rate, recipient_rate, auth_rate, tls_rate;
	struct setting_list limit_exceptions;
	int64_t bits_four, bits_six;    /* of the networks that are counted    */
};
extern const struct setting_table receiver_setting_table;
bool receiver_settings_fill(struct settings *, enum receiver_kind, const char *listener, struct receiver_settings *, struct buffer *errors);

/* Tables of addresses (mynetworks = hash:...), which this room knows by their names alone.  Counted: each config has
   them until it is gone. */
enum network_answer { NETWORK_NOT, NETWORK_HAS, NETWORK_LATER };
struct network_tables {
	unsigned users;
	enum network_answer (*find)(struct network_tables *, const char *table, const char *address);
	/* What it has for the address, in `a`; false: nothing, or it cannot be asked now. */
	bool (*value)(struct network_tables *, const char *table, const char *address, struct arena *a, struct bytes *out);
	void (*close)(struct network_tables *);
};
/* To how many recipients an account may send in an hour and a day; 0: to any number. */
struct spending { int64_t hour, day; };
bool spending_parse(struct bytes text, struct spending *);
bool spending_entry(struct bytes text, struct bytes *who, struct spending *);
/* A list: networks and tables, perhaps with ! before them; the first that has the address decides. */
struct network_item { struct network net; const char *table; bool no; };
struct networks { struct network_item *item; size_t count; struct network_tables *tables; };
bool networks_hold(const struct networks *, const struct peer *);
/* LATER: a table that comes before any that has it cannot be asked now. */
enum network_answer networks_look(const struct networks *, const struct peer *);
/* "!10.0.0.0/8", "hash:/etc/postfix/access"; *wrong otherwise.  The table's name is in `text`. */
bool network_item_parse(const char *text, struct network_item *, const char **wrong);

/* How long we wait and how much we bear, which is less when there are too many (Postfix's STRESS_README). */
struct patience { int64_t timeout, greet_wait, hard_errors, junk_commands; bool deadline; };
enum { CALM, STRESS, MOODS };
void receiver_mood(int mood);                /* of this process */

/* The word of postscreen_access_list that is none; NULL they are all. */
const char *screen_access_wrong(const struct setting_list *);
/* The word of local_header_rewrite_clients that is none; NULL they are all. */
const char *local_clients_wrong(const struct setting_list *);

struct receiver_config {
	struct patience patience[MOODS];
	struct receiver_settings set;   /* its strings live in `life`          */
	enum receiver_kind kind;
	struct arena *life;
	const char *listener;           /* "smtp": as settings and limits name it */
	const char *service;            /* "mansio/smtpd": as the log names it */
	const char *myhostname, *myorigin, *mail_name;
	const char *within;   /* the domain of domains without a dot; NULL: they stay so */
	struct networks verp_clients;
	struct networks mynetworks, exceptions, bare_excluded, screen_allow, auth_excepted, expn_hosts, xclient_hosts, xforward_hosts;
	char forbidden[CHARACTERS_MOST]; /* of message_reject_characters       */
	size_t forbidden_len;
	unsigned notify;                /* enum fault_class the postmaster wants to hear of */
	unsigned discarded;             /* enum extension: not told to anybody */
	unsigned banned, banned_tls;    /* traits of mechanisms, enum sasl_trait */
	struct tls *tls;                /* NULL: none to be had                */
	struct network_tables *tables;  /* NULL: there are none                */
	bool filters;                   /* mail filters may want to hear of its sessions */
	bool proxied;                   /* its letters go through a filter before they are taken */
	bool judges_clients;            /* restriction lists are asked before the greeting */
	void *lists;                    /* the house's own, and what it does with them in the end */
	void (*lists_drop)(void *);
	unsigned users;                 /* sessions, and the role              */
};
/* Takes over nothing: strings are copied.  NULL with words in *errors. */
struct receiver_config *receiver_config_open(const struct receiver_settings *, enum receiver_kind,
	const char *listener, const char *service, const char *myhostname, const char *myorigin, const char *mail_name,
	const struct setting_list *mynetworks, struct network_tables *, struct buffer *errors);
/* What holds under stress; without it the same as else. */
void receiver_config_stress(struct receiver_config *, const struct receiver_settings *);
const struct patience *receiver_patience(const struct receiver_config *);
/* What $stress says. */
bool receiver_is_stressed(const struct receiver_config *);
struct receiver_config *receiver_config_take(struct receiver_config *);
void receiver_config_drop(struct receiver_config **);

#endif
