#include "smtp/sender/settings.h"

#include <stdio.h>
#include <string.h>

#define AT(f) offsetof(struct sender_settings, f)
/* clang-format off */
static const struct setting rows[] = {
	{ "smtp_helo_name", SETTING_WORD, AT(helo_name), "$myhostname",
	  "What we call ourselves in EHLO to other hosts.", NULL, 0, 0, "0.2" },
	{ "lmtp_lhlo_name", SETTING_WORD, AT(lhlo_name), "$myhostname",
	  "What we call ourselves in LHLO.", NULL, 0, 0, "0.2" },
	{ "smtp_bind_address", SETTING_WORD, AT(bind_address), "",
	  "The IPv4 address connections to other hosts come from; the system chooses if empty.", NULL, 0, 0, "0.2" },
	{ "smtp_bind_address6", SETTING_WORD, AT(bind_address6), "",
	  "The same for IPv6.", NULL, 0, 0, "0.2" },
	{ "smtp_bind_address_enforce", SETTING_BOOL, AT(bind_enforce), "no",
	  "Mail waits where a connection cannot come from these addresses; with no it comes from another, and the log says so.", NULL, 0, 0, "0.3" },
	{ "smtp_bind_address_maps", SETTING_TABLES, AT(bind_maps), "",
	  "Tables of the addresses connections come from, an IPv4 and an IPv6 address or one of them: by sender, @ and the sender's domain, or the destination as transport_maps and relayhost name it.", NULL, 0, 0, "0.3" },
	{ "proxy_interfaces", SETTING_LIST, AT(own_more), "",
	  "Addresses under which others reach this machine through a proxy or a translation: mail for a domain whose best exchanger has one would come back to us.", NULL, 0, 0, "0.3" },
	{ "smtp_forbidden_networks", SETTING_LIST, AT(forbidden), "",
	  "Networks whose addresses are not connected to when they stand in the DNS: 10.0.0.0/8 192.168.0.0/16 where strangers must not lead bounces to hosts within. Destinations that settings name are not held against it.", NULL, 0, 0, "0.3" },
	{ "disable_dns_lookups", SETTING_BOOL, AT(no_dns), "no",
	  "No MX is asked for, and addresses are those of /etc/hosts; smtp_host_lookup = native says the same.", NULL, 0, 0, "0.3" },
	{ "ignore_mx_lookup_error", SETTING_BOOL, AT(ignore_mx_error), "no",
	  "When a domain's MX cannot be asked for, mail goes to its address instead of waiting.", NULL, 0, 0, "0.3" },
	{ "smtp_defer_if_no_mx_address_found", SETTING_BOOL, AT(no_mx_later), "no",
	  "Mail waits instead of coming back when no exchanger of a domain has an address.", NULL, 0, 0, "0.3" },
	{ "smtp_dns_reply_filter", SETTING_TABLES, AT(dns_filter), "",
	  "Tables for what the DNS says of hosts that letters go to: a record, as example.com. 3600 IN MX 10 mx.example.com., for which one has IGNORE is not there; where none is left the mail waits.", NULL, 0, 0, "0.4" },
	{ "smtp_cname_overrides_servername", SETTING_BOOL, AT(by_alias), "no",
	  "Whether a host whose name is an alias in the DNS goes by the name that it stands for, in the log, for smtp_sasl_password_maps and for its certificate. What DANE, MTA-STS and REQUIRETLS say of a host is of its name before.", NULL, 0, 0, "0.4" },
	{ "smtp_host_lookup", SETTING_LIST, AT(host_lookup), "dns",
	  "Where addresses of hosts are looked up: dns, native (/etc/hosts), or both; without dns no MX is asked for.", NULL, 0, 0, "0.2" },
	{ "smtp_tcp_port", SETTING_NUMBER, AT(tcp_port), "25",
	  "The port of hosts whose destination names none; a number, or smtp, submission or submissions.", "ports", 1, 65535, "0.2" },
	{ "lmtp_tcp_port", SETTING_NUMBER, AT(lmtp_port), "24",
	  "The same for LMTP.", "ports", 1, 65535, "0.2" },
	{ "smtp_address_preference", SETTING_CHOICE, AT(address_preference), "any",
	  "Which addresses of equally good hosts are tried first.", "any,ipv6,ipv4", 0, 0, "0.2" },
	{ "smtp_mx_address_limit", SETTING_NUMBER, AT(address_most), "5",
	  "How many addresses of a destination are tried for one delivery; 0: all.", NULL, 0, 100, "0.2" },
	{ "smtp_balance_inet_protocols", SETTING_BOOL, AT(balance), "yes",
	  "Of more addresses than smtp_mx_address_limit IPv4 and IPv6 are both among those that are tried.", NULL, 0, 0, "0.3" },
	{ "smtp_randomize_addresses", SETTING_BOOL, AT(randomize), "yes",
	  "Addresses of equally good hosts are tried in an order of chance; with no as the DNS gives them.", NULL, 0, 0, "0.3" },
	{ "smtp_address_verify_target", SETTING_CHOICE, AT(verify_target), "rcpt",
	  "What a host must answer well to for an address to be called good: rcpt, or data where a host says there who it does not know.", "rcpt,data", 0, 0, "0.3" },
	{ "smtp_mx_session_limit", SETTING_NUMBER, AT(session_most), "2",
	  "With how many hosts of a destination one delivery may begin to talk; 0: all.", NULL, 0, 100, "0.2" },
	{ "smtp_fallback_relay", SETTING_LIST, AT(fallback), "",
	  "Destinations that get the mail when no host of its own can be found or reached.", NULL, 0, 0, "0.2" },
	{ "smtp_discard_ehlo_keywords", SETTING_LIST, AT(discard), "",
	  "What servers offer and is not used: pipelining, chunking, starttls, auth, dsn, size, 8bitmime, smtputf8.", NULL, 0, 0, "0.2" },
	{ "smtp_discard_ehlo_keyword_address_maps", SETTING_TABLES, AT(discard_maps), "",
	  "Tables with these words by the address of the host; what is there counts instead.", NULL, 0, 0, "0.3" },
	{ "smtp_skip_5xx_greeting", SETTING_BOOL, AT(skip_5xx), "yes",
	  "A host that greets with 5yz is passed over; with no, the mail comes back.", NULL, 0, 0, "0.2" },
	{ "smtp_skip_quit_response", SETTING_BOOL, AT(skip_quit), "yes",
	  "The answer to QUIT is not waited for.", NULL, 0, 0, "0.2" },
	{ "smtp_never_send_ehlo", SETTING_BOOL, AT(never_ehlo), "no",
	  "Say HELO only.", NULL, 0, 0, "0.2" },
	{ "smtp_always_send_ehlo", SETTING_BOOL, AT(always_ehlo), "yes",
	  "EHLO is said to every host; with no, to those whose greeting has the word ESMTP.", NULL, 0, 0, "0.3" },
	{ "smtp_pix_workarounds", SETTING_LIST, AT(pix), "disable_esmtp, delay_dotcrlf",
	  "What is done where a PIX firewall stands before a host and its greeting is stars: disable_esmtp says HELO, delay_dotcrlf lets the last dot of a letter that was put off before go alone; none if empty.", NULL, 0, 0, "0.3" },
	{ "smtp_pix_workaround_maps", SETTING_TABLES, AT(pix_maps), "",
	  "Tables with these words by the address of the host; what is there counts instead.", NULL, 0, 0, "0.3" },
	{ "smtp_pix_workaround_threshold_time", SETTING_TIME, AT(pix_after_ms), "500s",
	  "How old a letter is for which delay_dotcrlf is done; 0: each.", NULL, 0, 864000000, "0.3" },
	{ "smtp_pix_workaround_delay_time", SETTING_TIME, AT(pix_delay_ms), "10s",
	  "How long the last dot waits then.", NULL, 1, 86400000, "0.3" },
	{ "smtp_line_length_limit", SETTING_SIZE, AT(line_most), "998",
	  "Longer lines of a letter are folded; 0: they go as they are.", NULL, 0, 1 << 30, "0.2" },
	{ "smtp_connect_timeout", SETTING_TIME, AT(connect_ms), "30s", "How long a connection may take to come about; 0: as long as the system tries.", NULL, 0, 86400000, "0.2" },
	{ "lmtp_assume_final", SETTING_BOOL, AT(assume_final), "no",
	  "Whether a host that is spoken to by LMTP and offers no DSN is where letters end: a notice of success says delivered, not relayed.", NULL, 0, 0, "0.4" },
	{ "smtp_send_xforward_command", SETTING_BOOL, AT(xforward), "no",
	  "Whether hosts that offer XFORWARD are told of the client that a letter came from, as a content filter passes it on to the server behind it.", NULL, 0, 0, "0.3" },
	{ "smtp_xforward_timeout", SETTING_TIME, AT(xforward_ms), "300s", "How long the answer to XFORWARD is waited for.", NULL, 100, 86400000, "0.3" },
	{ "smtp_reply_filter", SETTING_TABLES, AT(reply_filter), "",
	  "Tables that each line of what a host answers is looked up in; what is found stands instead of the line.", NULL, 0, 0, "0.3" },
	{ "default_delivery_status_filter", SETTING_TABLES, AT(status_filter_all), "",
	  "smtp_delivery_status_filter and lmtp_delivery_status_filter where they are not set; what is delivered here goes by none.", NULL, 0, 0, "0.3" },
	{ "smtp_delivery_status_filter", SETTING_TABLES, AT(status_filter), "$default_delivery_status_filter",
	  "Tables that the end of each delivery is looked up in, as 4.4.1 connect to ...; what is found stands instead, status and text: so that 4yz becomes 5yz, or the other way.", NULL, 0, 0, "0.3" },
	{ "smtp_per_request_deadline", SETTING_BOOL, AT(deadline), "no",
	  "Whether smtp_data_xfer_timeout is the time for all of a letter, with smtp_min_data_rate for its length, and not for each piece; the other limits are for all of an answer in any case.", NULL, 0, 0, "0.3" },
	{ "smtp_min_data_rate", SETTING_NUMBER, AT(data_rate), "500",
	  "Bytes a second that a letter goes at least, with smtp_per_request_deadline.", NULL, 1, 1 << 30, "0.3" },
	{ "smtp_send_dummy_mail_auth", SETTING_BOOL, AT(dummy_auth), "no",
	  "Whether AUTH=<> is said with MAIL after a login, to servers that want it.", NULL, 0, 0, "0.3" },
	{ "smtp_helo_timeout", SETTING_TIME, AT(helo_ms), "300s", "How long the greeting and the answer to EHLO are waited for.", NULL, 100, 86400000, "0.2" },
	{ "smtp_starttls_timeout", SETTING_TIME, AT(starttls_ms), "300s", "How long the answer to STARTTLS is waited for.", NULL, 100, 86400000, "0.2" },
	{ "smtp_mail_timeout", SETTING_TIME, AT(mail_ms), "300s", "How long the answer to MAIL is waited for, and to AUTH.", NULL, 100, 86400000, "0.2" },
	{ "smtp_rcpt_timeout", SETTING_TIME, AT(rcpt_ms), "300s", "How long the answer to RCPT is waited for.", NULL, 100, 86400000, "0.2" },
	{ "smtp_data_init_timeout", SETTING_TIME, AT(data_init_ms), "120s", "How long the answer to DATA is waited for.", NULL, 100, 86400000, "0.2" },
	{ "smtp_data_xfer_timeout", SETTING_TIME, AT(data_xfer_ms), "180s", "How long nothing of a letter may go.", NULL, 100, 86400000, "0.2" },
	{ "smtp_data_done_timeout", SETTING_TIME, AT(data_done_ms), "600s", "How long the answer to the end of a letter is waited for.", NULL, 100, 86400000, "0.2" },
	{ "smtp_rset_timeout", SETTING_TIME, AT(rset_ms), "20s", "How long the answer to RSET is waited for.", NULL, 100, 86400000, "0.2" },
	{ "smtp_quit_timeout", SETTING_TIME, AT(quit_ms), "300s", "How long the answer to QUIT is waited for.", NULL, 100, 86400000, "0.2" },
	{ "smtp_tls_security_level", SETTING_CHOICE, AT(tls_level), "dane",
	  "Whether letters go by TLS: where it is offered (may); the same, but to hosts with TLSA records that DNSSEC proves always and only if these are the hosts' (dane), or to such hosts alone (dane-only); always, with whatever certificate (encrypt), with one of these fingerprints (fingerprint), with one that is trusted and for the host's name (verify) or for the destination's (secure); or never (none, or empty).",
	  ",none,may,encrypt,dane,dane-only,fingerprint,verify,secure", 0, 0, "0.2" },
	{ "lmtp_tls_security_level", SETTING_CHOICE, AT(lmtp_tls_level), "",
	  "The same for LMTP by TCP.", ",none,may,encrypt,dane,dane-only,fingerprint,verify,secure", 0, 0, "0.2" },
	{ "smtp_tls_policy_maps", SETTING_TABLES, AT(tls_policies), "",
	  "Tables of destinations, as transport_maps and relayhost name them, or domains (.domain for what is below it), and their level with match=, protocols=, ciphers=, servername=, exclude= and connection_reuse=.", NULL, 0, 0, "0.3" },
	{ "lmtp_tls_policy_maps", SETTING_TABLES, AT(lmtp_tls_policies), "",
	  "smtp_tls_policy_maps for LMTP.", NULL, 0, 0, "0.3" },
	{ "smtp_dns_support_level", SETTING_CHOICE, AT(dns_support), "",
	  "dnssec: what DNSSEC proves counts, as it does if this is empty; enabled: it does not, and the level dane is may; disabled: hosts are not looked up in the DNS.",
	  ",disabled,enabled,dnssec", 0, 0, "0.3" },
	{ "smtp_tls_dane_insecure_mx_policy", SETTING_CHOICE, AT(insecure_mx), "",
	  "What TLSA records of a host are worth whose MX record nothing proves, at the level dane: dane, encrypt or may; empty: dane if smtp_tls_security_level is dane, else may.",
	  ",may,encrypt,dane", 0, 0, "0.3" },
	{ "smtp_mta_sts", SETTING_BOOL, AT(sts), "yes",
	  "Whether the policies that domains publish about their own hosts (MTA-STS, rfc8461) are fetched and kept, where smtp_tls_security_level or smtp_tls_policy_maps say may or dane.", NULL, 0, 0, "0.3" },
	{ "smtp_mta_sts_CAfile", SETTING_WORD, AT(sts_authorities), "/etc/ssl/certs/ca-certificates.crt",
	  "The authorities that certificates of web servers with such policies are trusted from, and of hosts under them.", NULL, 0, 0, "0.3" },
	{ "smtp_tls_session_cache_timeout", SETTING_TIME, AT(session_ms), "3600s",
	  "For how long a TLS session with a host is gone on with when it is met again; 0: each begins anew.", NULL, 0, 86400000, "0.3" },
	{ "smtp_tls_note_starttls_offer", SETTING_BOOL, AT(note_offer), "no",
	  "Whether the log tells of hosts that offer STARTTLS where it is not used.", NULL, 0, 0, "0.3" },
	{ "smtp_tls_servername", SETTING_WORD, AT(tls_servername), "hostname",
	  "The name a host is asked for by TLS (SNI): hostname, its own; nexthop, the domain of the destination; or a name for all. servername= of smtp_tls_policy_maps stands instead; by DANE and MTA-STS it is what they say.", NULL, 0, 0, "0.3" },
	{ "smtp_tls_fingerprint_cert_match", SETTING_LIST, AT(tls_fingerprints), "",
	  "Fingerprints of certificates, or of their public keys, for the level fingerprint.", NULL, 0, 0, "0.3" },
	{ "smtp_tls_fingerprint_digest", SETTING_WORD, AT(tls_digest), "sha256",
	  "The digest of these fingerprints: sha256, sha1, ...", NULL, 0, 0, "0.3" },
	{ "smtp_tls_verify_cert_match", SETTING_LIST, AT(tls_verify_match), "hostname",
	  "For which names a certificate may be at the level verify: hostname, nexthop, dot-nexthop (what is below it), or names, .example.com for all below it.", NULL, 0, 0, "0.3" },
	{ "smtp_tls_secure_cert_match", SETTING_LIST, AT(tls_secure_match), "nexthop, dot-nexthop",
	  "The same at the level secure.", NULL, 0, 0, "0.3" },
	{ "smtp_tls_protocols", SETTING_TEXT, AT(tls_protocols), ">=TLSv1.2",
	  "The versions of TLS spoken where it is not demanded: >=TLSv1.2, >=TLSv1.3, or those there are without some (!SSLv2, !SSLv3); none before 1.2 is spoken in any case.", NULL, 0, 0, "0.3" },
	{ "smtp_tls_mandatory_protocols", SETTING_TEXT, AT(tls_mandatory_protocols), ">=TLSv1.2",
	  "The same where TLS is demanded.", NULL, 0, 0, "0.3" },
	{ "smtp_tls_ciphers", SETTING_CHOICE, AT(tls_ciphers), "medium",
	  "The least grade of ciphers of TLS 1.2 where it is not demanded: medium or high; weaker ones are not there, and mean medium.", "export,low,medium,high,null", 0, 0, "0.3" },
	{ "smtp_tls_mandatory_ciphers", SETTING_CHOICE, AT(tls_mandatory_ciphers), "medium",
	  "The same where TLS is demanded.", "export,low,medium,high,null", 0, 0, "0.3" },
	{ "smtp_tls_exclude_ciphers", SETTING_TEXT, AT(tls_exclude), "",
	  "Ciphers, or kinds of them, not spoken.", NULL, 0, 0, "0.3" },
	{ "smtp_tls_mandatory_exclude_ciphers", SETTING_TEXT, AT(tls_mandatory_exclude), "",
	  "More of them, not spoken where TLS is demanded.", NULL, 0, 0, "0.3" },
	{ "smtp_tls_CAfile", SETTING_WORD, AT(tls_authorities), "",
	  "A file of certificates in PEM: the authorities that certificates of other hosts are trusted from.", NULL, 0, 0, "0.3" },
	{ "smtp_tls_CApath", SETTING_WORD, AT(tls_authorities_path), "",
	  "A directory of more such files, named by their hash as openssl rehash does it.", NULL, 0, 0, "0.3" },
	{ "tls_append_default_CA", SETTING_BOOL, AT(tls_default_authorities), "no",
	  "Whether the authorities of the system (/etc/ssl/certs/ca-certificates.crt) are trusted besides.", NULL, 0, 0, "0.3" },
	{ "smtp_tls_trust_anchor_file", SETTING_LIST, AT(tls_anchors), "",
	  "Files of certificates or public keys in PEM: at the levels verify and secure a host's certificate is trusted if its chain leads to one of these, be it no root, and by no authority of smtp_tls_CAfile.", NULL, 0, 0, "0.3" },
	{ "smtp_tls_policy_anchor_files", SETTING_LIST, AT(tls_policy_anchors), "",
	  "Such files for single destinations: what tafile= of smtp_tls_policy_maps may name, since senders open no file themselves.", NULL, 0, 0, "0.3" },
	{ "smtp_tls_cert_file", SETTING_WORD, AT(tls_cert_file), "",
	  "The certificate and its chain in PEM that is shown to hosts which ask for one; none if empty.", NULL, 0, 0, "0.3" },
	{ "smtp_tls_key_file", SETTING_WORD, AT(tls_key_file), "$smtp_tls_cert_file",
	  "The private key of smtp_tls_cert_file in PEM; read by the signer alone, which signs with it for senders only.", NULL, 0, 0, "0.3" },
	{ "smtp_tls_eccert_file", SETTING_WORD, AT(tls_eccert_file), "",
	  "One more certificate, for a key of the other kind: ECDSA beside RSA.", NULL, 0, 0, "0.3" },
	{ "smtp_tls_eckey_file", SETTING_WORD, AT(tls_eckey_file), "$smtp_tls_eccert_file",
	  "The private key of smtp_tls_eccert_file.", NULL, 0, 0, "0.3" },
	{ "smtp_tls_chain_files", SETTING_LIST, AT(tls_chain_files), "",
	  "Files with keys, each before its certificate and chain, in PEM; instead of smtp_tls_cert_file and its like.", NULL, 0, 0, "0.3" },
	{ "smtp_tls_scert_verifydepth", SETTING_NUMBER, AT(tls_depth), "9",
	  "How many certificates may be between a host's and the authority.", NULL, 1, 100, "0.3" },
	{ "smtp_tls_loglevel", SETTING_NUMBER, AT(tls_loglevel), "1",
	  "1: the log tells of every TLS session that is begun, and why a certificate is not trusted; 2: of the certificate and the steps of the handshake, too; 3: of the bytes of handshakes as they go over the wire; 4: of those of all that follows; 0: nothing.", NULL, 0, 4, "0.3" },
	{ "smtp_generic_maps", SETTING_TABLES, AT(generic), "",
	  "What stands instead of addresses in letters that leave by SMTP, in the envelope and in the fields, as generic(5) tells: an address for an address, @domain for a domain.", NULL, 0, 0, "0.3" },
	{ "lmtp_generic_maps", SETTING_TABLES, AT(lmtp_generic), "",
	  "The same for those that leave by LMTP.", NULL, 0, 0, "0.3" },
	{ "disable_mime_output_conversion", SETTING_BOOL, AT(no_conversion), "no",
	  "yes: letters with bytes above 127 come back when a host does not know 8BITMIME; no: they become quoted-printable or base64 for it.", NULL, 0, 0, "0.3" },
	{ "smtp_header_checks", SETTING_TABLES, AT(checks[0]), "",
	  "Patterns for the fields of letters that leave by SMTP; of header_checks' actions DUNNO, IGNORE, INFO, PREPEND, REPLACE, STRIP and WARN.", NULL, 0, 0, "0.3" },
	{ "smtp_mime_header_checks", SETTING_TABLES, AT(checks[1]), "",
	  "Patterns for the fields of their parts that leave by SMTP; of header_checks' actions DUNNO, IGNORE, INFO, PREPEND, REPLACE, STRIP and WARN.", NULL, 0, 0, "0.3" },
	{ "smtp_nested_header_checks", SETTING_TABLES, AT(checks[2]), "",
	  "Patterns for the fields of letters within them that leave by SMTP; of header_checks' actions DUNNO, IGNORE, INFO, PREPEND, REPLACE, STRIP and WARN.", NULL, 0, 0, "0.3" },
	{ "smtp_body_checks", SETTING_TABLES, AT(checks[3]), "",
	  "Patterns for the lines of their bodies that leave by SMTP; of header_checks' actions DUNNO, IGNORE, INFO, PREPEND, REPLACE, STRIP and WARN.", NULL, 0, 0, "0.3" },
	{ "lmtp_header_checks", SETTING_TABLES, AT(lmtp_checks[0]), "",
	  "Patterns for the fields of letters that leave by LMTP; of header_checks' actions DUNNO, IGNORE, INFO, PREPEND, REPLACE, STRIP and WARN.", NULL, 0, 0, "0.3" },
	{ "lmtp_mime_header_checks", SETTING_TABLES, AT(lmtp_checks[1]), "",
	  "Patterns for the fields of their parts that leave by LMTP; of header_checks' actions DUNNO, IGNORE, INFO, PREPEND, REPLACE, STRIP and WARN.", NULL, 0, 0, "0.3" },
	{ "lmtp_nested_header_checks", SETTING_TABLES, AT(lmtp_checks[2]), "",
	  "Patterns for the fields of letters within them that leave by LMTP; of header_checks' actions DUNNO, IGNORE, INFO, PREPEND, REPLACE, STRIP and WARN.", NULL, 0, 0, "0.3" },
	{ "lmtp_body_checks", SETTING_TABLES, AT(lmtp_checks[3]), "",
	  "Patterns for the lines of their bodies that leave by LMTP; of header_checks' actions DUNNO, IGNORE, INFO, PREPEND, REPLACE, STRIP and WARN.", NULL, 0, 0, "0.3" },
	{ "smtp_use_tls", SETTING_BOOL, AT(use_tls), "no",
	  "An old way to say smtp_tls_security_level = may.", NULL, 0, 0, "0.2" },
	{ "smtp_tls_wrappermode", SETTING_BOOL, AT(tls_wrapper), "no",
	  "TLS from the first byte, at whatever port; at port 465 ([mail.example.com]:465, or :smtps) it is so without this, too.", NULL, 0, 0, "0.2" },
	{ "smtp_sasl_auth_enable", SETTING_BOOL, AT(login[0].on), "no",
	  "Whether we log in at hosts that smtp_sasl_password_maps has a password for.", NULL, 0, 0, "0.2" },
	{ "smtp_sasl_password_maps", SETTING_TABLES, AT(login[0].passwords), "",
	  "USER:PASSWORD for a destination as relayhost or transport_maps name it, or for a host; read by senders alone.", NULL, 0, 0, "0.2" },
	{ "smtp_sasl_security_options", SETTING_LIST, AT(login[0].options), "noplaintext, noanonymous",
	  "Outside TLS: noplaintext, no mechanism that shows the password (PLAIN, LOGIN) or a token; noactive, none that somebody between could make use of (those and CRAM-MD5); nodictionary, none whose exchange lets passwords be guessed; mutual_auth, only those by which the host proves itself (SCRAM). noanonymous always holds.", NULL, 0, 0, "0.2" },
	{ "smtp_sasl_tls_security_options", SETTING_LIST, AT(login[0].tls_options), "$smtp_sasl_security_options",
	  "The same inside TLS.", NULL, 0, 0, "0.2" },
	{ "smtp_sasl_tls_verified_security_options", SETTING_LIST, AT(login[0].verified_options), "$smtp_sasl_tls_security_options",
	  "The same inside TLS with a host that has proved its name.", NULL, 0, 0, "0.3" },
	{ "smtp_sasl_mechanism_filter", SETTING_MATCHES, AT(login[0].mechanisms), "",
	  "The mechanisms that may be used, of SCRAM-SHA-256-PLUS, SCRAM-SHA-1-PLUS, SCRAM-SHA-256, SCRAM-SHA-1, CRAM-MD5, PLAIN and LOGIN; !NAME is not; a /file has such words, and of a table it is what the table has as a key; the first that fits decides. All if empty. XOAUTH2 and OAUTHBEARER must be named here: the password is the token then.", NULL, 0, 0, "0.2" },
	{ "lmtp_sasl_auth_enable", SETTING_BOOL, AT(login[1].on), "no",
	  "Whether we log in at LMTP servers that lmtp_sasl_password_maps has a password for.", NULL, 0, 0, "0.3" },
	{ "lmtp_sasl_password_maps", SETTING_TABLES, AT(login[1].passwords), "",
	  "smtp_sasl_password_maps for LMTP.", NULL, 0, 0, "0.3" },
	{ "lmtp_sasl_security_options", SETTING_LIST, AT(login[1].options), "noplaintext, noanonymous",
	  "smtp_sasl_security_options for LMTP.", NULL, 0, 0, "0.3" },
	{ "lmtp_sasl_tls_security_options", SETTING_LIST, AT(login[1].tls_options), "$lmtp_sasl_security_options",
	  "The same inside TLS.", NULL, 0, 0, "0.3" },
	{ "lmtp_sasl_tls_verified_security_options", SETTING_LIST, AT(login[1].verified_options), "$lmtp_sasl_tls_security_options",
	  "The same inside TLS with a host that has proved its name.", NULL, 0, 0, "0.3" },
	{ "lmtp_sasl_mechanism_filter", SETTING_MATCHES, AT(login[1].mechanisms), "",
	  "smtp_sasl_mechanism_filter for LMTP.", NULL, 0, 0, "0.3" },
	{ "smtp_sasl_auth_soft_bounce", SETTING_BOOL, AT(auth_soft), "yes",
	  "Mail waits when a host does not let us log in; with no it comes back.", NULL, 0, 0, "0.2" },
	{ "smtp_sasl_auth_cache_name", SETTING_WORD, AT(login_cache), "",
	  "If not empty, as proxy:btree:/var/lib/postfix/sasl_auth_cache: a login that a host has refused with 535 is not tried there again with the same password for smtp_sasl_auth_cache_time. Senders keep this in memory; no table is written.", NULL, 0, 0, "0.3" },
	{ "smtp_sasl_auth_cache_time", SETTING_TIME, AT(login_cache_ms), "90d",
	  "How long a refused login is not tried again.", NULL, 0, 31536000000, "0.3" },
	{ "smtp_sender_dependent_authentication", SETTING_BOOL, AT(auth_by_sender), "no",
	  "Whether smtp_sasl_password_maps is asked for the sender of a letter first: the address, with and without an extension, and @domain.", NULL, 0, 0, "0.2" },
	{ "smtp_connection_cache_on_demand", SETTING_BOOL, AT(cache_on_demand), "yes",
	  "A connection is kept for a moment when more mail waits for the same destination.", NULL, 0, 0, "0.2" },
	{ "smtp_connection_cache_destinations", SETTING_LIST, AT(cache_destinations), "",
	  "Destinations whose connections are always kept for a moment.", NULL, 0, 0, "0.2" },
	{ "smtp_connection_cache_time_limit", SETTING_TIME, AT(cache_ms), "2s",
	  "How long a connection waits for another letter.", NULL, 0, 3600000, "0.2" },
	{ "smtp_connection_reuse_time_limit", SETTING_TIME, AT(reuse_ms), "300s",
	  "How old a connection may become.", NULL, 0, 86400000, "0.2" },
	{ "smtp_connection_reuse_count_limit", SETTING_NUMBER, AT(reuse_most), "0",
	  "How many letters one connection takes; 0: any number.", NULL, 0, 1000000, "0.2" },
};
/* clang-format on */
#undef AT

const struct setting_table sender_setting_table = { "Sending", rows, COUNT(rows) };

/* ---- the same for LMTP ---- */

/* Those that are of SMTP alone, or of all senders, or have a row for LMTP above. */
static bool
has_no_twin(const char *name)
{
	static const char *const alone[] = {
		"smtp_helo_name",
		"smtp_tcp_port",
		"smtp_tls_security_level",
		"smtp_generic_maps",
		"smtp_never_send_ehlo",
		"smtp_always_send_ehlo",
		"smtp_mta_sts",
		"smtp_mta_sts_CAfile",
		"smtp_forbidden_networks",
		"smtp_tls_dane_insecure_mx_policy",
	};

	for (size_t i = 0; i < COUNT(alone); i++)
		if (strcmp(name, alone[i]) == 0)
			return true;
	for (size_t i = 0; i < COUNT(rows); i++)
		if (strncmp(rows[i].name, "lmtp_", 5) == 0 &&
		    strcmp(rows[i].name + 4, name + 4) == 0)
			return true;
	return strncmp(name, "smtp_", 5) != 0;
}

/* What is not as for SMTP where it is not said. */
static const char *
own_standard(const char *name)
{
	static const struct {
		const char *name, *standard;
	} own[] = {
		{ "lmtp_fallback_relay", "" },
		{ "lmtp_tls_wrappermode", "no" },
		{ "lmtp_use_tls", "no" },
		{ "lmtp_send_xforward_command", "no" },
		{ "lmtp_send_dummy_mail_auth", "no" },
		{ "lmtp_reply_filter", "" },
		{ "lmtp_dns_reply_filter", "" },
		{ "lmtp_cname_overrides_servername", "no" },
		{ "lmtp_delivery_status_filter", "$default_delivery_status_filter" },
	};

	for (size_t i = 0; i < COUNT(own); i++)
		if (strcmp(name, own[i].name) == 0)
			return own[i].standard;
	return NULL;
}

/* Some have the name of what LMTP says instead (rfc2033:4.1). */
static const char *
own_name(const char *name)
{
	static const struct {
		const char *smtp, *lmtp;
	} names[] = {
		{ "smtp_helo_timeout", "_lhlo_timeout" },
		{ "smtp_discard_ehlo_keywords", "_discard_lhlo_keywords" },
		{ "smtp_discard_ehlo_keyword_address_maps", "_discard_lhlo_keyword_address_maps" },
	};

	for (size_t i = 0; i < COUNT(names); i++)
		if (strcmp(name, names[i].smtp) == 0)
			return names[i].lmtp;
	return name + 4;
}

const struct setting_table *
sender_lmtp_setting_table(void)
{
	enum { NAME_MOST = 64, WORDS_MOST = 96 };
	static struct setting twin[COUNT(rows)];
	static char           name[COUNT(rows)][NAME_MOST], standard[COUNT(rows)][NAME_MOST + 1],
		about[COUNT(rows)][WORDS_MOST];
	static struct setting_table table = { "Sending by LMTP", twin, 0 };
	size_t                      n = 0;

	if (table.count > 0)
		return &table;
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (has_no_twin(rows[i].name))
			continue;
		(void)snprintf(name[n], sizeof name[n], "lmtp%s", own_name(rows[i].name));
		(void)snprintf(standard[n], sizeof standard[n], "$%s", rows[i].name);
		(void)snprintf(about[n], sizeof about[n], "The same as %s, for LMTP.",
		               rows[i].name);
		twin[n] = rows[i];
		twin[n].name = name[n];
		twin[n].standard =
			own_standard(name[n]) != NULL ? own_standard(name[n]) : standard[n];
		twin[n].about = about[n];
		twin[n++].since = "0.3";
	}
	table.count = n;
	return &table;
}
