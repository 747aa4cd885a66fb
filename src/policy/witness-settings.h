/*
 * witness-settings -- what an administrator may say about rules that ask others: the rows
 */
#ifndef POLICY_WITNESS_SETTINGS_H
#define POLICY_WITNESS_SETTINGS_H

#include "base/setting.h"
#include "policy/greylist.h"
#include "policy/service.h"
#include "policy/verified.h"

/* What becomes of a client where a rule that refuses cannot be told now. */
enum tempfail { TEMPFAIL_IF_PERMIT, TEMPFAIL_DEFER };

/* What becomes of a client that lists in the DNS know too well. */
enum score_action { SCORE_IGNORE, SCORE_ENFORCE, SCORE_DROP };
enum verify_away { AWAY_DEFER, AWAY_ACCEPT };
struct witness_settings {
	int64_t unknown_client, unknown_helo, unknown_address, rbl;   /* codes         */
	int64_t unverified_sender, unverified_recipient, unverified_sender_defer, unverified_recipient_defer;
	int     reject_tempfail, helo_tempfail, address_tempfail, sender_tempfail, recipient_tempfail;   /* enum tempfail */
	const char *sender_reason, *recipient_reason;
	const char *rbl_reply;
	struct setting_list score_sites, score_replies;
	int64_t score_most;
	int64_t score_allow, score_allow_old;                         /* 0: never      */
	int     score_action;          /* enum score_action                       */
	struct setting_list rbl_domains, rbl_reply_maps, backup_networks, proxy_interfaces;
	struct setting_list verify_domains;
	struct setting_list dns_filter;
	int     verify_away;           /* enum verify_away                         */
	struct service_settings service;
	struct greylist_settings grey;
	struct setting_list grey_clients, grey_recipients;
	int64_t grey_code;
	const char *grey_text;
	struct verified_settings verified;
	const char *verify_map, *verify_sender;
	int64_t verify_sender_ttl;
	int64_t verify_polls, verify_delay, verify_pending;
	int64_t list_timeout, list_patience, list_rest;               /* of DNS lists  */
	const char *myhostname, *myorigin;     /* no rows of this table            */
};
extern const struct setting_table witness_setting_table;

#endif
