#include "policy/settings.h"

#define AT(f) offsetof(struct policy_settings, f)
/* clang-format off */
static const struct setting rows[] = {
	{ "smtpd_client_restrictions", SETTING_RULES, AT(list[0]), "",
	  "Rules for the client that connects.", NULL, 0, 0, "0.3" },
	{ "smtpd_helo_restrictions", SETTING_RULES, AT(list[1]), "",
	  "Rules for the name that HELO or EHLO tells.", NULL, 0, 0, "0.3" },
	{ "smtpd_sender_restrictions", SETTING_RULES, AT(list[2]), "",
	  "Rules for the sender that MAIL tells.", NULL, 0, 0, "0.3" },
	{ "smtpd_relay_restrictions", SETTING_RULES, AT(list[3]), "permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination",
	  "Rules for who may send where, asked before smtpd_recipient_restrictions; the two together must refuse strangers who relay. (Postfix's own standard has defer_unauth_destination, which lets them try again.)", NULL, 0, 0, "0.3" },
	{ "smtpd_recipient_restrictions", SETTING_RULES, AT(list[4]), "",
	  "Rules for the recipient that RCPT tells.", NULL, 0, 0, "0.3" },
	{ "smtpd_data_restrictions", SETTING_RULES, AT(list[5]), "",
	  "Rules for DATA.", NULL, 0, 0, "0.3" },
	{ "smtpd_end_of_data_restrictions", SETTING_RULES, AT(list[6]), "",
	  "Rules for the end of a letter.", NULL, 0, 0, "0.3" },
	{ "smtpd_etrn_restrictions", SETTING_RULES, AT(list[7]), "",
	  "Rules for ETRN.", NULL, 0, 0, "0.3" },
	{ "smtpd_restriction_classes", SETTING_LIST, AT(classes), "",
	  "Names of lists of rules that stand in lists and in access tables; each is a setting of its own.", NULL, 0, 0, "0.3" },
	{ "smtpd_delay_reject", SETTING_BOOL, AT(delay), "yes",
	  "Whether the rules for client, HELO and sender are asked at RCPT, when all is known, and not before.", NULL, 0, 0, "0.3" },
	{ "smtpd_relay_before_recipient_restrictions", SETTING_BOOL, AT(relay_first), "yes",
	  "Whether smtpd_relay_restrictions are asked before smtpd_recipient_restrictions; no: behind them.", NULL, 0, 0, "0.4" },
	{ "smtpd_reject_unlisted_recipient", SETTING_BOOL, AT(unlisted_recipient), "yes",
	  "Refuse unknown recipients of ours at RCPT, whatever the lists permit; no: who may relay may send to them and hears of it later.", NULL, 0, 0, "0.1" },
	{ "receive_override_options", SETTING_LIST, AT(overrides), "",
	  "What is left out for the letters of a listener, as a content filter's way back: no_unknown_recipient_checks, no_address_mappings, no_header_body_checks, no_milters.", NULL, 0, 0, "0.3" },
	{ "smtpd_reject_unlisted_sender", SETTING_BOOL, AT(unlisted_sender), "no",
	  "Refuse senders in domains of ours that nobody has, whatever the lists permit.", NULL, 0, 0, "0.3" },
	{ "smtpd_sender_login_check", SETTING_CHOICE, AT(sender_check), "authenticated",
	  "Who may send as which address (smtpd_sender_login_maps): authenticated: a user who has logged in as their own "
	  "only (as the rule reject_authenticated_sender_login_mismatch); unauthenticated: nobody who has not logged in as an address that has an owner; "
	  "all: both; known: as all, but a user may send as addresses that nobody owns; none: what the lists say.",
	  "none,authenticated,unauthenticated,all,known", 0, 0, "0.2" },
	{ "unknown_local_recipient_reject_code", SETTING_NUMBER, AT(unknown_code[POLICY_UNKNOWN_LOCAL]), "550", "The code a recipient is refused with who is not in the tables of local names; 450 lets the client come again.", NULL, 400, 599, "0.2" },
	{ "unknown_virtual_alias_reject_code", SETTING_NUMBER, AT(unknown_code[POLICY_UNKNOWN_ALIAS]), "550", "The code a recipient is refused with who is not in the virtual alias table; 450 lets the client come again.", NULL, 400, 599, "0.2" },
	{ "unknown_virtual_mailbox_reject_code", SETTING_NUMBER, AT(unknown_code[POLICY_UNKNOWN_MAILBOX]), "550", "The code a recipient is refused with who is not in the directory or the virtual mailbox table; 450 lets the client come again.", NULL, 400, 599, "0.2" },
	{ "unknown_relay_recipient_reject_code", SETTING_NUMBER, AT(unknown_code[POLICY_UNKNOWN_RELAY]), "550", "The code a recipient is refused with who is not in the relay recipient table; 450 lets the client come again.", NULL, 400, 599, "0.2" },
	{ "reject_code", SETTING_NUMBER, AT(reject), "554", "The code of the rule reject.", NULL, 400, 599, "0.3" },
	{ "defer_code", SETTING_NUMBER, AT(defer), "450", "The code of the rule defer.", NULL, 400, 599, "0.3" },
	{ "access_map_reject_code", SETTING_NUMBER, AT(map_reject), "554", "The code of REJECT in an access table.", NULL, 400, 599, "0.3" },
	{ "access_map_defer_code", SETTING_NUMBER, AT(map_defer), "450", "The code of DEFER, DEFER_IF_PERMIT and DEFER_IF_REJECT in an access table.", NULL, 400, 599, "0.3" },
	{ "invalid_hostname_reject_code", SETTING_NUMBER, AT(invalid_name), "501", "The code of reject_invalid_helo_hostname.", NULL, 400, 599, "0.3" },
	{ "non_fqdn_reject_code", SETTING_NUMBER, AT(non_fqdn), "504", "The code of reject_non_fqdn_helo_hostname, reject_non_fqdn_sender and reject_non_fqdn_recipient.", NULL, 400, 599, "0.3" },
	{ "relay_domains_reject_code", SETTING_NUMBER, AT(relay), "554", "The code of reject_unauth_destination; that of defer_unauth_destination is 100 less.", NULL, 500, 599, "0.3" },
	{ "multi_recipient_bounce_reject_code", SETTING_NUMBER, AT(bounce), "550", "The code of reject_multi_recipient_bounce.", NULL, 400, 599, "0.3" },
	{ "plaintext_reject_code", SETTING_NUMBER, AT(plaintext), "450", "The code of reject_plaintext_session.", NULL, 400, 599, "0.3" },
	{ "allow_untrusted_routing", SETTING_BOOL, AT(untrusted_routing), "no", "Whether strangers may write to domains of ours with %, ! or @ in the local part; a backup passes such letters to its primary, which may take them for a way to somewhere else.", NULL, 0, 0, "0.4" },
	{ "allow_null_sender_refusal", SETTING_BOOL, AT(null_refusal), "no", "Whether tables of check_sender_access may refuse the null sender; if not, settings in which one does are not put in force: notices that a letter came back have no sender.", NULL, 0, 0, "0.4" },
	{ "smtpd_null_access_lookup_key", SETTING_WORD, AT(null_key), "<>", "What the empty sender is looked for as in access tables.", NULL, 0, 0, "0.3" },
	{ "relay_clientcerts", SETTING_TABLES, AT(client_certs), "",
	  "Tables of fingerprints of clients' certificates, or of their keys, whom permit_tls_clientcerts permits.", NULL, 0, 0, "0.3" },
	{ "smtpd_log_access_permit_actions", SETTING_LIST, AT(permit_log), "",
	  "Rules and actions that permit and are to be in the log when they do: permit_mynetworks, OK; static:all for all.", NULL, 0, 0, "0.3" },
};
/* clang-format on */
const struct setting_table policy_setting_table = { "Restriction lists", rows, COUNT(rows) };

unsigned
receive_overrides(const struct setting_list *list, const char **wrong)
{
	static const struct {
		const char *word;
		unsigned    bit;
	} words[] = {
		{ "no_unknown_recipient_checks", OVERRIDE_UNKNOWN },
		{ "no_address_mappings", OVERRIDE_MAPPINGS },
		{ "no_header_body_checks", OVERRIDE_CHECKS },
		{ "no_milters", OVERRIDE_MILTERS },
	};
	unsigned bits = 0;

	*wrong = NULL;
	for (size_t i = 0; i < list->count; i++) {
		unsigned bit = 0;

		for (size_t n = 0; n < COUNT(words); n++)
			if (bytes_is(bytes_of(list->item[i]), words[n].word))
				bit = words[n].bit;
		if (bit == 0 && *wrong == NULL)
			*wrong = list->item[i];
		bits |= bit;
	}
	return bits;
}
