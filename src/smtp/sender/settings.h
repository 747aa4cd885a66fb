/*
 * settings -- how letters are taken to other hosts
 */
#ifndef SMTP_SENDER_SETTINGS_H
#define SMTP_SENDER_SETTINGS_H

#include "base/setting.h"

enum dns_support { DNS_SUPPORT_UNSAID, DNS_SUPPORT_DISABLED, DNS_SUPPORT_ENABLED, DNS_SUPPORT_DNSSEC };
enum insecure_mx { INSECURE_MX_UNSAID, INSECURE_MX_MAY, INSECURE_MX_ENCRYPT, INSECURE_MX_DANE };
enum { SENDER_CHECKS = 4 };    /* in the order of policy/checks.h */
struct sender_settings {
	struct setting_list generic, lmtp_generic;
	struct setting_list checks[SENDER_CHECKS], lmtp_checks[SENDER_CHECKS];
	bool        no_conversion;
	const char *helo_name, *lhlo_name, *bind_address, *bind_address6;
	struct setting_list host_lookup;
	int64_t     tcp_port, lmtp_port;
	int         address_preference;        /* enum route_preference            */
	int64_t     address_most, session_most;
	bool        balance, randomize, no_mx_later, ignore_mx_error, no_dns;
	bool        by_alias;                  /* smtp_cname_overrides_servername  */
	struct setting_list dns_filter;
	struct setting_list own_more;          /* proxy_interfaces                 */
	bool        bind_enforce;
	struct setting_list bind_maps, discard_maps, forbidden;
	int         verify_target;             /* rcpt, data                       */
	struct setting_list fallback, discard;
	bool        skip_5xx, skip_quit, never_ehlo, always_ehlo;
	int64_t     line_most;
	struct setting_list pix, pix_maps;     /* smtp_pix_workarounds             */
	int64_t     pix_after_ms, pix_delay_ms;
	int64_t     connect_ms, helo_ms, starttls_ms, mail_ms, rcpt_ms, data_init_ms, data_xfer_ms, data_done_ms, rset_ms, quit_ms;
	int         tls_level;                 /* "", then enum security_level     */
	bool        use_tls, tls_wrapper;
	int         lmtp_tls_level, dns_support, insecure_mx;   /* enum dns_support; "" may encrypt dane */
	int64_t     session_ms;
	bool        sts;
	const char *sts_authorities;
	bool        note_offer;
	bool        xforward, dummy_auth, deadline, assume_final;
	int64_t     xforward_ms, data_rate;
	struct setting_list reply_filter, status_filter_all, status_filter;
	const char *tls_servername;            /* hostname, nexthop, or one for all */
	struct setting_list tls_policies, lmtp_tls_policies, tls_fingerprints, tls_verify_match, tls_secure_match;
	const char *tls_protocols, *tls_mandatory_protocols, *tls_exclude, *tls_mandatory_exclude, *tls_digest;
	int         tls_ciphers, tls_mandatory_ciphers;
	const char *tls_authorities, *tls_authorities_path;
	bool        tls_default_authorities;
	const char *tls_cert_file, *tls_key_file, *tls_eccert_file, *tls_eckey_file;   /* what is shown to hosts that ask */
	struct setting_list tls_chain_files;
	struct setting_list tls_anchors, tls_policy_anchors;   /* smtp_tls_trust_anchor_file; what tafile= may name */
	int64_t     tls_depth, tls_loglevel;
	const char *login_cache;               /* smtp_sasl_auth_cache_name: "" none      */
	int64_t     login_cache_ms;
	bool        auth_soft, auth_by_sender;
	struct sender_login {
		bool on;
		struct setting_list passwords, options, tls_options, verified_options, mechanisms;
	} login[2];                            /* at SMTP, at LMTP                 */
	bool        cache_on_demand;
	struct setting_list cache_destinations;
	int64_t     cache_ms, reuse_ms, reuse_most;
};
extern const struct setting_table sender_setting_table;
/* lmtp_connect_timeout and its like: filled into the same struct behind the others, they are what counts for LMTP. */
const struct setting_table *sender_lmtp_setting_table(void);

#endif
