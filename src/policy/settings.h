/*
 * settings -- what an administrator may say about restriction lists: the rows, for one listener
 */
#ifndef POLICY_SETTINGS_H
#define POLICY_SETTINGS_H

#include "base/setting.h"
#include "policy/witness-settings.h"

enum { POLICY_LISTS = 8 };
/* In whose table somebody is not known. */
enum policy_unknown { POLICY_UNKNOWN_LOCAL, POLICY_UNKNOWN_ALIAS, POLICY_UNKNOWN_MAILBOX, POLICY_UNKNOWN_RELAY, POLICY_UNKNOWN_TABLES };
/* Whose mismatch of login and sender is refused without a rule that says so. */
enum policy_sender_check { LOGIN_UNCHECKED, LOGIN_OF_USERS, LOGIN_OF_STRANGERS, LOGIN_OF_ALL, LOGIN_KNOWN };

struct policy_settings {
	struct setting_list list[POLICY_LISTS];         /* by enum rule_stage (policy/rules.h) */
	struct setting_list classes;
	bool    delay, relay_first, unlisted_recipient, unlisted_sender;
	int     sender_check;                           /* enum policy_sender_check */
	int64_t unknown_code[POLICY_UNKNOWN_TABLES];
	int64_t reject, defer, map_reject, map_defer, invalid_name, non_fqdn, relay, bounce, plaintext;
	bool        null_refusal, untrusted_routing;
	const char *null_key;                           /* "<>"                  */
	struct setting_list client_certs, permit_log;
	struct setting_list overrides;                  /* words of enum receive_override */
	struct witness_settings witness;                /* of another table      */
};
/* receive_override_options: what is left out for letters of a listener. */
enum receive_override { OVERRIDE_UNKNOWN = 1, OVERRIDE_MAPPINGS = 2, OVERRIDE_CHECKS = 4, OVERRIDE_MILTERS = 8 };
/* The bits of these words; the first that is none in *wrong, NULL if all are. */
unsigned receive_overrides(const struct setting_list *, const char **wrong);
/* A row's strings live with the settings; the rest is numbers. */
extern const struct setting_table policy_setting_table;

#endif
