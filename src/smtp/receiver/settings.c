#include "smtp/receiver/settings.h"
#include "sasl/sasl.h"
#include "smtp/extension.h"

#include <string.h>

#define AT(f) offsetof(struct receiver_settings, f)
#define YES true
#define NO false

/* clang-format off */
static const struct setting rows[] = {
	{ "smtpd_tls_security_level", SETTING_CHOICE, AT(tls_level), "may",
	  "Whether TLS is offered (may), demanded before mail (encrypt) or not there (none); submission: encrypt. Empty: as if it were not set.",
	  ",none,may,encrypt", 0, 0, "0.1" },
	{ "smtpd_tls_wrappermode", SETTING_BOOL, AT(tls_wrappermode), "no",
	  "TLS from the first byte, without STARTTLS (rfc8314:3); submissions: yes.", NULL, 0, 0, "0.1" },
	{ "smtpd_use_tls", SETTING_BOOL, AT(use_tls), "yes",
	  "The old way to say smtpd_tls_security_level = may, or none; it counts where that is not set.", NULL, 0, 0, "0.3" },
	{ "smtpd_enforce_tls", SETTING_BOOL, AT(enforce_tls), "no",
	  "The old way to say smtpd_tls_security_level = encrypt; it counts where that is not set.", NULL, 0, 0, "0.3" },
	{ "smtpd_tls_loglevel", SETTING_NUMBER, AT(tls_loglevel), "1",
	  "What the log tells of TLS: 0 nothing, 1 a line when it is established, 2 the client's certificate and the steps of the handshake, too, 3 also the bytes of handshakes as they go over the wire, sixteen in a line, 4 those of all that follows. What TLS hides stays hidden in them.", NULL, 0, 4, "0.3" },
	{ "smtpd_tls_received_header", SETTING_BOOL, AT(tls_received_header), "yes",
	  "Whether Received fields tell of TLS and of the client's certificate.", NULL, 0, 0, "0.3" },
	{ "smtpd_tls_auth_only", SETTING_BOOL, AT(tls_auth_only), "yes",
	  "Passwords are taken only inside TLS.", NULL, 0, 0, "0.1" },
	{ "smtpd_sasl_auth_enable", SETTING_BOOL, AT(auth_enable), "no",
	  "Whether users may log in; submission and submissions: yes.", NULL, 0, 0, "0.1" },
	{ "smtpd_sasl_auth_required", SETTING_BOOL, AT(auth_required), "no",
	  "Whether mail is taken from users who have logged in only; submission and submissions: yes.", NULL, 0, 0, "0.1" },
	{ "smtpd_sasl_mechanism_list", SETTING_LIST, AT(auth_mechanisms), "$sasl_mechanisms",
	  "The SASL mechanisms offered to SMTP.", NULL, 0, 0, "0.1" },
	{ "smtpd_sasl_security_options", SETTING_LIST, AT(sasl_options), "noanonymous",
	  "Mechanisms not offered outside TLS: noplaintext, noactive, nodictionary, noanonymous, mutual_auth, forward_secrecy.", NULL, 0, 0, "0.2" },
	{ "smtpd_sasl_tls_security_options", SETTING_LIST, AT(sasl_tls_options), "$smtpd_sasl_security_options",
	  "The same inside TLS.", NULL, 0, 0, "0.2" },
	{ "smtpd_sasl_exceptions_networks", SETTING_MATCHES, AT(auth_exceptions), "",
	  "Networks whose clients are not offered AUTH.", NULL, 0, 0, "0.4" },
	{ "smtpd_sasl_authenticated_header", SETTING_BOOL, AT(auth_header), "yes",
	  "Whether the Received field of a letter tells which user sent it.", NULL, 0, 0, "0.4" },
	{ "broken_sasl_auth_clients", SETTING_BOOL, AT(auth_equals), "no",
	  "Announce AUTH= also, for clients that knew it before rfc2554.", NULL, 0, 0, "0.2" },
	{ "smtpd_reject_footer", SETTING_TEXT, AT(reject_footer), "",
	  "What is added to every refusal as lines of its own, or behind \\\\c on the same line; \\\\n parts lines, and $client, $client_address, "
	  "$client_name, $client_port, $localtime, $recipient, $sender and $server_name stand for what they say.", NULL, 0, 0, "0.3" },
	{ "smtpd_reject_footer_maps", SETTING_TABLES, AT(footer_tables), "",
	  "Tables of such additions, by the whole reply as the client would have it; they go before smtpd_reject_footer. They are in files here: a stranger's own words are in what he is refused with, and no database is asked about these.", NULL, 0, 0, "0.4" },
	{ "smtpd_command_filter", SETTING_TABLES, AT(command_tables), "",
	  "Tables that turn a command as a client says it, without blanks before it, into the one that is obeyed; regexp and pcre are the types for it.", NULL, 0, 0, "0.4" },
	{ "smtpd_noop_commands", SETTING_MATCHES, AT(noops), "",
	  "Words, and tables of words, that are answered as NOOP is, whatever they mean.", NULL, 0, 0, "0.4" },
	{ "smtpd_client_port_logging", SETTING_BOOL, AT(port_logging), "no",
	  "Whether the log calls a client host[address]:port.", NULL, 0, 0, "0.4" },
	{ "smtpd_banner", SETTING_TEXT, AT(banner), "$myhostname ESMTP $mail_name",
	  "What follows 220 in the greeting; it should begin with the host name (rfc5321:4.2).", NULL, 0, 0, "0.1" },
	{ "smtpd_peername_lookup", SETTING_BOOL, AT(peername_lookup), "yes",
	  "Whether the name of a client is looked up; unknown if not, and if its own address is not among "
	  "those of the name.", NULL, 0, 0, "0.1" },
	{ "smtpd_upstream_proxy_protocol", SETTING_CHOICE, AT(proxy), "",
	  "What a proxy before this server says first of its client: haproxy, the PROXY protocol, versions 1 and 2; empty: there is no proxy.  "
	  "Set it for a listener that clients themselves cannot reach.", ",haproxy", 0, 0, "0.3" },
	{ "smtpd_upstream_proxy_timeout", SETTING_TIME, AT(proxy_timeout), "5s",
	  "How long the proxy may take for that.", NULL, 1, 0, "0.3" },
	{ "smtpd_authorized_expn_hosts", SETTING_MATCHES, AT(expn_hosts), "",
	  "Networks whose clients may ask by EXPN who the members of a list are.", NULL, 0, 0, "0.3" },
	{ "fast_flush_domains", SETTING_MATCHES, AT(flush_domains), "$relay_domains",
	  "Domains, those below them, and tables of such, whose mail a client may ask by ETRN to be tried now. Tables that another server keeps are not asked: write their domains here.", NULL, 0, 0, "0.3" },
	{ "smtpd_authorized_xclient_hosts", SETTING_MATCHES, AT(xclient_hosts), "",
	  "Networks whose clients may say XCLIENT: who their own client is, for the rules and the log; how many connections they have is not limited. Write no network that others can come from.", NULL, 0, 0, "0.3" },
	{ "smtpd_authorized_xforward_hosts", SETTING_MATCHES, AT(xforward_hosts), "",
	  "Networks whose clients may say XFORWARD: where the letter came from, for the log.", NULL, 0, 0, "0.3" },
	{ "authorized_verp_clients", SETTING_MATCHES, AT(verp_clients), "$mynetworks",
	  "Networks whose clients may ask by XVERP that a letter has another sender for each recipient, and by XREPORT and XVERIFY for the reports of sendmail -v and -bv.", NULL, 0, 0, "0.3" },
	{ "smtpd_authorized_verp_clients", SETTING_MATCHES, AT(verp_clients), "$authorized_verp_clients",
	  "The same, and what counts.", NULL, 0, 0, "0.3" },
	{ "default_verp_delimiters", SETTING_WORD, AT(verp_delimiters), "+=",
	  "The two characters around the recipient in such a sender, where the client names none.", NULL, 0, 0, "0.3" },
	{ "verp_delimiter_filter", SETTING_WORD, AT(verp_filter), "-=+",
	  "The characters a client may name for that.", NULL, 0, 0, "0.3" },
	{ "soft_bounce", SETTING_BOOL, AT(soft_bounce), "no",
	  "While settings are tried out: whatever would be refused for good, by us or by another host, is put off instead.", NULL, 0, 0, "0.3" },
	{ "smtpd_helo_required", SETTING_BOOL, AT(helo_required), "no",
	  "Whether a client must say HELO or EHLO before MAIL.", NULL, 0, 0, "0.1" },
	{ "smtputf8_enable", SETTING_BOOL, AT(utf8), "yes",
	  "Whether addresses beyond US-ASCII are taken (rfc6531).", NULL, 0, 0, "0.3" },
	{ "strict_smtputf8", SETTING_BOOL, AT(strict_utf8), "yes",
	  "Take such addresses only in a transaction that was begun with SMTPUTF8 (rfc6531:3.2); Postfix: no.", NULL, 0, 0, "0.3" },
	{ "smtpd_discard_ehlo_keywords", SETTING_LIST, AT(discarded), "",
	  "Extensions that are not told of in EHLO and LHLO, and not there.", NULL, 0, 0, "0.3" },
	{ "smtpd_discard_ehlo_keyword_address_maps", SETTING_TABLES, AT(discarded_of), "",
	  "The same for clients whose address one of these tables has; smtpd_discard_ehlo_keywords does not hold for them then.", NULL, 0, 0, "0.3" },
	{ "smtpd_future_release_limit", SETTING_TIME, AT(future_release), "14d",
	  "How long a letter that is submitted may be held by its sender's wish (rfc4865); 0: not offered.", NULL, 0, 999999999000, "0.3" },
	{ "smtpd_deliver_by_minimum", SETTING_TIME, AT(deliver_by_least), "60s",
	  "The shortest time for a delivery that is to be returned else (rfc2852).", NULL, 0, 999999999000, "0.3" },
	{ "smtpd_priority_permitted", SETTING_CHOICE, AT(priority_permitted), "authenticated",
	  "Whose letters may have another priority (rfc6710): of users who have logged in, of clients in mynetworks also (trusted), of all; none: not offered.",
	  "none,authenticated,trusted,all", 0, 0, "0.3" },
	{ "smtpd_no_soliciting", SETTING_LIST, AT(no_soliciting), "",
	  "Classes of solicitations, as net.example:ADV, that are refused (rfc3865); empty: not offered.", NULL, 0, 0, "0.3" },
	{ "smtpd_session_domain_limit", SETTING_NUMBER, AT(session_domains), "0",
	  "Domains the recipients of one session may be of (rfc9422 RCPTDOMAINMAX); 0: no limit.", NULL, 0, 0, "0.3" },
	{ "disable_vrfy_command", SETTING_BOOL, AT(vrfy_disabled), "no",
	  "Refuse VRFY with 502.", NULL, 0, 0, "0.1" },
	{ "strict_rfc821_envelopes", SETTING_BOOL, AT(strict_envelopes), "no",
	  "Take addresses in MAIL and RCPT only with brackets and exactly as rfc5321 writes them.", NULL, 0, 0, "0.1" },
	{ "allow_min_user", SETTING_BOOL, AT(hyphen_allowed), "no",
	  "Take addresses that begin with a hyphen, which a command line may take for an option.", NULL, 0, 0, "0.5" },
	{ "smtpd_forbid_bare_newline", SETTING_CHOICE, AT(bare_newline), "normalize",
	  "Lines that end with LF alone: taken as lines (normalize, yes), and noted in the log besides (note), or the letter refused (reject); "
	  "the end of a letter is CR LF . CR LF in any case but one: no, with which LF . LF ends it, too, and mail can be smuggled.", "normalize,reject,yes,no,note", 0, 0, "0.1" },
	{ "message_reject_characters", SETTING_TEXT, AT(reject_characters), "",
	  "Characters for which a letter that has one is refused with 550, as \\0: each as it is, or as C writes it; empty: none.", NULL, 0, 0, "0.5" },
	{ "smtpd_forbid_bare_newline_reject_code", SETTING_NUMBER, AT(bare_newline_code), "550",
	  "The code such a letter is refused with.", NULL, 400, 599, "0.4" },
	{ "smtpd_forbid_bare_newline_exclusions", SETTING_MATCHES, AT(bare_newline_exclusions), "$mynetworks",
	  "Networks whose clients may end a letter with LF . LF.", NULL, 0, 0, "0.1" },
	{ "smtpd_forbidden_commands", SETTING_MATCHES, AT(forbidden_commands), "CONNECT GET POST PUT HEAD OPTIONS regexp:{{/^[^A-Z]/ Bogus}}",
	  "Words that no SMTP client says, and tables of such; the first that has the word decides, and ! before it says no. Whoever says one, or a word "
	  "that ends a field name, as From: does, is sent away at once.", NULL, 0, 0, "0.1" },
	{ "content_filter", SETTING_WORD, AT(content_filter), "",
	  "transport:nexthop, as scan:[127.0.0.1]:10025: where every letter of the listener goes first, to come back by another listener that has content_filter = and receive_override_options; empty: nowhere.", NULL, 0, 0, "0.3" },
	{ "smtpd_header_from_check", SETTING_CHOICE, AT(from_check), "none",
	  "What becomes of a letter of a user who has logged in when an address in its From is not theirs (smtpd_sender_login_maps): none, it is not looked at; reject; rewrite, it is the login's address then.",
	  "none,reject,rewrite", 0, 0, "0.3" },
	{ "message_drop_headers", SETTING_LIST, AT(drop_fields), "bcc content-length resent-bcc return-path",
	  "Fields that are left out of every letter.", NULL, 0, 0, "0.3" },
	{ "always_add_missing_headers", SETTING_BOOL, AT(add_missing), "no",
	  "Whether From, Date and Message-ID are put where they are missing not only for users who have logged in.", NULL, 0, 0, "0.3" },
	{ "local_header_rewrite_clients", SETTING_MATCHES, AT(local_clients), "permit_inet_interfaces permit_sasl_authenticated",
	  "Clients in whose letters bare names of From, To and their kin become names of myorigin, and canonical_maps and masquerade_domains hold for the header: "
	  "permit_inet_interfaces (this machine), permit_mynetworks, permit_sasl_authenticated, permit_tls_clientcerts, permit_tls_all_clientcerts, check_address_map TABLE.", NULL, 0, 0, "0.3" },
	{ "remote_header_rewrite_domain", SETTING_WORD, AT(remote_domain), "",
	  "The same for the letters of all others, with this domain in the place of myorigin, as domain.invalid; empty: their header is not touched.", NULL, 0, 0, "0.3" },
	{ "message_size_limit", SETTING_SIZE, AT(message_size), "50M",
	  "The largest letter taken, as SIZE announces it (rfc1870); 0: no limit.", NULL, 0, 0, "0.1" },
	{ "line_length_limit", SETTING_SIZE, AT(line_length), "2048",
	  "The longest command line (rfc5321:4.5.3.1.4 asks for 512); lines of letters are kept as they are.",
	  NULL, 512, 1 << 16, "0.1" },
	{ "header_size_limit", SETTING_SIZE, AT(header_size), "102400",
	  "The largest header field of a letter, with its continuation lines; what it has beyond is left out; 0: no limit.", NULL, 0, 0, "0.1" },
	{ "header_total_limit", SETTING_SIZE, AT(header_total), "1M",
	  "The largest header section of a letter; 0: no limit.", NULL, 0, 0, "0.1" },
	{ "smtpd_recipient_limit", SETTING_NUMBER, AT(recipients), "1000",
	  "Recipients of one letter, without those refused; 0: no limit but 50000.", NULL, 0, 0, "0.1" },
	{ "smtpd_recipient_limit_stranger", SETTING_NUMBER, AT(recipients_stranger), "100",
	  "The same for clients that may not relay (rfc5321:4.5.3.1.8 asks for 100).", NULL, 0, 0, "0.1" },
	{ "smtpd_recipient_overshoot_limit", SETTING_NUMBER, AT(overshoot), "1000",
	  "Recipients past that limit of which each is put off, and does not count for smtpd_hard_error_limit.", NULL, 0, 0, "0.4" },
	{ "hopcount_limit", SETTING_NUMBER, AT(hopcount), "50",
	  "Received fields of a letter past which it is thought to go in circles (rfc5321:6.3); 0: no limit.", NULL, 0, 0, "0.1" },
	{ "smtpd_letters_memory_limit", SETTING_SIZE, AT(letters_memory), "64M",
	  "Memory of one receiver for letters that are coming in; past it DATA waits; 0: no limit.", NULL, 0, 0, "0.1" },
	{ "stress", SETTING_WORD, AT(stress), "",
	  "Nothing, or yes while four fifths of smtpd_connection_limit are in use: for ${stress?{...}:{...}} in smtpd_timeout, "
	  "smtpd_hard_error_limit, smtpd_junk_command_limit, smtpd_per_request_deadline and postscreen_greet_wait.", NULL, 0, 0, "0.3" },
	{ "smtpd_history_flush_threshold", SETTING_NUMBER, AT(history_lines), "100",
	  "How long what is kept of a session for notify_classes may be, in lines, when EHLO, RSET or the end of a letter comes: then it is told of, or forgotten.", NULL, 0, 100000, "0.4" },
	{ "smtpd_timeout", SETTING_TIME, AT(timeout), "${stress?{10}:{300}}s",
	  "How long a client may take for one command, or be silent in a letter (rfc5321:4.5.3.2.7).", NULL, 0, 0, "0.1" },
	{ "smtpd_per_record_deadline", SETTING_WORD, AT(old_deadline), "",
	  "What smtpd_per_request_deadline was called before: yes or no; empty: it has no other name.", NULL, 0, 0, "0.5" },
	{ "smtpd_per_request_deadline", SETTING_BOOL, AT(deadline), "${smtpd_per_record_deadline?{$smtpd_per_record_deadline}:{yes}}",
	  "Whether smtpd_timeout is for a whole command, and for a whole letter with smtpd_min_data_rate besides; no: for each piece of them that comes.", NULL, 0, 0, "0.3" },
	{ "smtpd_forbid_unauth_pipelining", SETTING_BOOL, AT(forbid_pipelining), "no",
	  "Whether a client is sent away with 554 that says more before it has heard the answer to EHLO, STARTTLS, AUTH, DATA and the like (rfc2920:3.1), or to any command at all where it has not said EHLO; "
	  "nobody is excepted, not even by smtpd_client_event_limit_exceptions.", NULL, 0, 0, "0.3" },
	{ "smtpd_starttls_timeout", SETTING_TIME, AT(starttls_timeout), "10s",
	  "How long a TLS handshake may take.", NULL, 0, 0, "0.1" },
	{ "smtpd_min_data_rate", SETTING_NUMBER, AT(min_data_rate), "500",
	  "Bytes per second a letter must come in with, once smtpd_timeout has passed; 0: any.", NULL, 0, 0, "0.1" },
	{ "smtpd_hard_error_limit", SETTING_NUMBER, AT(hard_errors), "${stress?{1}:{20}}",
	  "Refused commands without a letter between them after which the connection is closed with 421; 0: no limit.", NULL, 0, 0, "0.1" },
	{ "smtpd_soft_error_limit", SETTING_NUMBER, AT(soft_errors), "10",
	  "Refused commands without a letter between them after which each further one is slowed by smtpd_error_sleep_time; 0: never.", NULL, 0, 0, "0.1" },
	{ "smtpd_error_sleep_time", SETTING_TIME, AT(error_sleep), "1s",
	  "The pause after the first error past smtpd_soft_error_limit; twice that after the second, and so on up to thirty times.", NULL, 0, 0, "0.1" },
	{ "smtpd_junk_command_limit", SETTING_NUMBER, AT(junk_commands), "${stress?{1}:{100}}",
	  "NOOP, RSET, VRFY, HELP and the like between two letters, with the first EHLO; each further one but one is an error, as Postfix counts; 0: no limit.", NULL, 0, 0, "0.1" },
	{ "postscreen_enable", SETTING_BOOL, AT(screen), "no",
	  "Whether strangers on the listener smtp are tested before they are greeted: who speaks first is no mail server.  Clients of postscreen_allow_list, and those that passed "
	  "less than postscreen_greet_ttl ago, do not wait.", NULL, 0, 0, "0.3" },
	{ "postscreen_allow_list", SETTING_MATCHES, AT(screen_allow), "$mynetworks",
	  "Networks whose clients are not tested.", NULL, 0, 0, "0.3" },
	{ "postscreen_access_list", SETTING_MATCHES, AT(screen_access), "permit_mynetworks",
	  "Who is tested, left to right: permit_mynetworks, permit, reject, dunno, and tables of addresses that say these words; who is permitted is not tested, and of who is rejected postscreen_denylist_action is made.", NULL, 0, 0, "0.4" },
	{ "postscreen_blacklist_action", SETTING_CHOICE, AT(old_deny_action), "",
	  "What postscreen_denylist_action was called before.", ",ignore,enforce,drop", 0, 0, "0.4" },
	{ "postscreen_denylist_action", SETTING_CHOICE, AT(deny_action), "${postscreen_blacklist_action?{$postscreen_blacklist_action}:{ignore}}",
	  "What becomes of a client that postscreen_access_list rejects, as postscreen_greet_action says it.", "ignore,enforce,drop", 0, 0, "0.4" },
	{ "postscreen_greet_action", SETTING_CHOICE, AT(greet_action), "ignore",
	  "What becomes of a client that speaks before it is greeted: ignore, it is told of in the log; enforce, its recipients are refused with 550; drop, it is sent away with 521.",
	  "ignore,enforce,drop", 0, 0, "0.3" },
	{ "postscreen_greet_wait", SETTING_TIME, AT(greet_wait), "${stress?{2}:{6}}s",
	  "How long a client that is tested waits for the greeting.", NULL, 0, 60000, "0.3" },
	{ "postscreen_greet_banner", SETTING_TEXT, AT(greet_banner), "$smtpd_banner",
	  "What is said at once as the first of several lines of the greeting, so that who does not read to the end speaks too early; empty: nothing.", NULL, 0, 0, "0.3" },
	{ "postscreen_greet_ttl", SETTING_TIME, AT(greet_ttl), "1d",
	  "How long a client that has passed is not tested again.", NULL, 1000, 0, "0.3" },
	{ "postscreen_pipelining_enable", SETTING_BOOL, AT(screen_pipelining), "no",
	  "Whether those that are tested must wait for the answer to HELO and EHLO, too.", NULL, 0, 0, "0.3" },
	{ "postscreen_pipelining_action", SETTING_CHOICE, AT(pipelining_action), "enforce",
	  "What becomes of those that do not, as postscreen_greet_action says it.", "ignore,enforce,drop", 0, 0, "0.3" },
	{ "smtpd_connection_limit", SETTING_NUMBER, AT(connections), "4000",
	  "Connections of one receiver process at once. Past four fifths of them $stress is yes; when all are in use the longest silent one of the network with most of them, as smtpd_client_ipv4_prefix_length has it, gives way to a newcomer that has fewer, and "
	  "who has no fewer is sent away with 421; 0: no limit.", NULL, 0, 0, "0.3" },
	{ "smtpd_session_message_limit", SETTING_NUMBER, AT(session_messages), "100",
	  "Letters of a stranger in one connection, then it is closed with 421 and may come again; 0: no limit.", NULL, 0, 0, "0.3" },
	{ "smtpd_account_message_rate_limit", SETTING_NUMBER, AT(account_messages), "0",
	  "MAIL commands of one account per anvil_rate_time_unit, from wherever it comes; 0: no limit.", NULL, 0, 0, "0.3" },
	{ "smtpd_account_recipient_rate_limit", SETTING_NUMBER, AT(account_recipients), "0",
	  "RCPT commands of one account per anvil_rate_time_unit, from wherever it comes; 0: no limit.", NULL, 0, 0, "0.3" },
	{ "smtpd_account_hour_limit", SETTING_NUMBER, AT(account_hour), "0",
	  "Recipients one account may send to in an hour; letters past that are taken and held (mansio queue release), and the postmaster is told once; 0: no limit.", NULL, 0, 0, "0.3" },
	{ "smtpd_account_day_limit", SETTING_NUMBER, AT(account_day), "0",
	  "The same for a day.", NULL, 0, 0, "0.3" },
	{ "smtpd_account_limits", SETTING_LIST, AT(account_limits), "",
	  "Accounts and domains with limits of their own, jack@example.com=HOUR/DAY or @example.com=HOUR/DAY; an account's own goes before its domain's.", NULL, 0, 0, "0.3" },
	{ "anvil_rate_time_unit", SETTING_TIME, AT(rate_unit), "60s",
	  "The time over which the smtpd_client_*_rate_limit count.", NULL, 1000, 86400000, "0.1" },
	{ "anvil_status_update_time", SETTING_TIME, AT(status_update), "600s",
	  "How often the log tells which client asked most at once: connections, and how many of what anvil_rate_time_unit counts.", NULL, 1000, 86400000, "0.4" },
	{ "smtpd_client_connection_count_limit", SETTING_NUMBER, AT(connection_count), "50",
	  "Connections at once from one address (a /64 for IPv6); 0: no limit.", NULL, 0, 0, "0.1" },
	{ "smtpd_client_connection_rate_limit", SETTING_NUMBER, AT(connection_rate), "0",
	  "New connections from one address per anvil_rate_time_unit; 0: no limit.", NULL, 0, 0, "0.1" },
	{ "smtpd_client_message_rate_limit", SETTING_NUMBER, AT(message_rate), "0",
	  "MAIL commands from one address per anvil_rate_time_unit; 0: no limit.", NULL, 0, 0, "0.1" },
	{ "smtpd_client_recipient_rate_limit", SETTING_NUMBER, AT(recipient_rate), "0",
	  "RCPT commands from one address per anvil_rate_time_unit; 0: no limit.", NULL, 0, 0, "0.1" },
	{ "smtpd_client_auth_rate_limit", SETTING_NUMBER, AT(auth_rate), "0",
	  "AUTH commands from one address per anvil_rate_time_unit; 0: no limit (failures are slowed by the clerk).", NULL, 0, 0, "0.1" },
	{ "smtpd_client_new_tls_session_rate_limit", SETTING_NUMBER, AT(tls_rate), "0",
	  "New TLS sessions from one address per anvil_rate_time_unit, with handshakes that fail; those that go on with an older session do not count; 0: no limit.", NULL, 0, 0, "0.1" },
	{ "smtpd_client_ipv4_prefix_length", SETTING_NUMBER, AT(bits_four), "32",
	  "Clients of one network of so many bits count together for the smtpd_client_*_limit.", NULL, 1, 32, "0.4" },
	{ "smtpd_client_ipv6_prefix_length", SETTING_NUMBER, AT(bits_six), "64",
	  "The same of IPv6.", NULL, 1, 128, "0.4" },
	{ "smtpd_client_event_limit_exceptions", SETTING_MATCHES, AT(limit_exceptions), "$mynetworks",
	  "Networks the smtpd_client_*_limit do not count.", NULL, 0, 0, "0.1" },
};
/* clang-format on */
const struct setting_table receiver_setting_table = { "SMTP and LMTP in", rows, COUNT(rows) };

/* What a kind of listener stands for: it goes before what main.cf says of all
   listeners, as its purpose is lost otherwise. */
/* clang-format off */
static const struct {
	enum receiver_kind kind;
	const char *name;
	size_t      where;
	bool        is_bool;
	int         value;
} meant[] = {
	{ KIND_SUBMISSION,  "smtpd_tls_security_level", AT(tls_level),       false, TLS_ENCRYPT },
	{ KIND_SUBMISSION,  "smtpd_sasl_auth_enable",   AT(auth_enable),     true,  YES },
	{ KIND_SUBMISSION,  "smtpd_sasl_auth_required", AT(auth_required),   true,  YES },
	{ KIND_SUBMISSIONS, "smtpd_tls_wrappermode",    AT(tls_wrappermode), true,  YES },
	{ KIND_SUBMISSIONS, "smtpd_sasl_auth_enable",   AT(auth_enable),     true,  YES },
	{ KIND_SUBMISSIONS, "smtpd_sasl_auth_required", AT(auth_required),   true,  YES },
	{ KIND_LMTP,        "smtpd_sasl_auth_enable",   AT(auth_enable),     true,  NO  },
	{ KIND_LMTP,        "smtpd_sasl_auth_required", AT(auth_required),   true,  NO  },
};
/* clang-format on */

/* Whether main.cf has "listener/name", and it is not empty. */
static bool
said_of_it(const struct settings *s, const char *listener, const char *name)
{
	struct setting_entry e;
	size_t               n = strlen(listener);

	for (size_t i = 0; settings_entry(s, i, &e); i++)
		if (strncmp(e.name, listener, n) == 0 && e.name[n] == '/' &&
		    strcmp(e.name + n + 1, name) == 0 && *e.value != '\0')
			return true;
	return false;
}

/* Or of all. */
static bool
is_said(const struct settings *s, const char *listener, const char *name)
{
	struct setting_entry e;

	for (size_t i = 0; settings_entry(s, i, &e); i++)
		if (strcmp(e.name, name) == 0 && *e.value != '\0')
			return true;
	return said_of_it(s, listener, name);
}

bool
receiver_settings_fill(struct settings *s, enum receiver_kind kind, const char *listener,
                       struct receiver_settings *out, struct buffer *errors)
{
	bool good = settings_fill(s, &receiver_setting_table, listener, out, errors);

	if (out->tls_level == TLS_UNSAID || !is_said(s, listener, "smtpd_tls_security_level"))
		out->tls_level = out->enforce_tls ? TLS_ENCRYPT : out->use_tls ? TLS_MAY : TLS_NONE;
	for (size_t i = 0; i < COUNT(meant); i++) {
		void *at = (char *)out + meant[i].where;

		if (meant[i].kind != kind || said_of_it(s, listener, meant[i].name))
			continue;
		if (meant[i].is_bool)
			*(bool *)at = meant[i].value != 0;
		else
			*(int *)at = meant[i].value;
	}
	return good;
}

enum network_answer
networks_look(const struct networks *n, const struct peer *p)
{
	for (size_t i = 0; i < n->count; i++) {
		const struct network_item *item = &n->item[i];
		enum network_answer        a;

		if (item->table != NULL)
			a = n->tables == NULL ? NETWORK_LATER
			                      : n->tables->find(n->tables, item->table, p->text);
		else
			a = network_holds(&item->net, p) ? NETWORK_HAS : NETWORK_NOT;
		if (a == NETWORK_LATER)
			return NETWORK_LATER;
		if (a == NETWORK_HAS)
			return item->no ? NETWORK_NOT : NETWORK_HAS;
	}
	return NETWORK_NOT;
}

/* Nobody is trusted on a guess. */
bool
networks_hold(const struct networks *n, const struct peer *p)
{
	return networks_look(n, p) == NETWORK_HAS;
}

bool
network_item_parse(const char *text, struct network_item *out, const char **wrong)
{
	const char *colon;

	*out = (struct network_item){ 0 };
	for (; *text == '!'; text++)
		out->no = !out->no;
	colon = strchr(text, ':');
	/* "hash:/x" and no "[2001:db8::]/32", nor one without its brackets. */
	if (colon != NULL && text[0] != '[' &&
	    ((colon[1] >= 'a' && colon[1] <= 'z') || colon[1] == '/' || colon[1] == '{') &&
	    !network_parse(bytes_of(text), &out->net, wrong)) {
		out->table = text;
		return true;
	}
	return network_parse(bytes_of(text), &out->net, wrong);
}

static bool
read_networks(struct arena *a, const struct setting_list *list, const char *name,
              struct networks *out, struct buffer *errors)
{
	const char *wrong = "";

	out->item = arena_take_array(a, list->count + 1, sizeof *out->item);
	for (out->count = 0; out->count < list->count; out->count++) {
		const char *text = arena_copy(a, bytes_of(list->item[out->count]));
		if (!network_item_parse(text, &out->item[out->count], &wrong)) {
			buffer_printf(errors, "main.cf: %s: %s: %s\n", name, text, wrong);
			return false;
		}
	}
	return true;
}

static bool
read_options(const struct setting_list *list, const char *name, unsigned *banned,
             struct buffer *errors)
{
	const char *wrong = "";

	if (sasl_options(list, banned, &wrong))
		return true;
	buffer_printf(errors,
	              "main.cf: %s: %s: write noplaintext, noactive, nodictionary, noanonymous, "
	              "mutual_auth or forward_secrecy\n",
	              name, wrong);
	return false;
}

static bool
read_discarded(const struct setting_list *list, unsigned *bits, struct buffer *errors)
{
	const char *wrong = "";

	if (extensions_read(list->item, list->count, bits, &wrong))
		return true;
	buffer_printf(
		errors,
		"main.cf: smtpd_discard_ehlo_keywords: %s: write words of EHLO, as chunking\n",
		wrong);
	return false;
}

static bool
read_spendings(const struct setting_list *list, struct buffer *errors)
{
	struct spending most;
	struct bytes    who;

	for (size_t i = 0; i < list->count; i++)
		if (!spending_entry(bytes_of(list->item[i]), &who, &most)) {
			buffer_printf(
				errors,
				"main.cf: smtpd_account_limits: %s: write jack@example.com=HOUR/DAY, "
				"two numbers of recipients\n",
				list->item[i]);
			return false;
		}
	return true;
}

static bool
read_local_clients(const struct setting_list *list, struct buffer *errors)
{
	const char *wrong = local_clients_wrong(list);

	if (wrong == NULL)
		return true;
	buffer_printf(errors,
	              "main.cf: local_header_rewrite_clients: %s: write permit_inet_interfaces, "
	              "permit_mynetworks, permit_sasl_authenticated, permit_tls_clientcerts, "
	              "permit_tls_all_clientcerts or check_address_map with a table\n",
	              wrong);
	return false;
}

static bool
read_screen_access(const struct setting_list *list, struct buffer *errors)
{
	const char *wrong = screen_access_wrong(list);

	if (wrong == NULL)
		return true;
	buffer_printf(
		errors,
		"main.cf: postscreen_access_list: %s: write permit_mynetworks, permit, reject, "
		"dunno or a table\n",
		wrong);
	return false;
}

static bool
read_characters(struct receiver_config *c, struct buffer *errors)
{
	const char *wrong = NULL;

	c->forbidden_len = characters_parse(c->set.reject_characters, c->forbidden, &wrong);
	if (wrong == NULL)
		return true;
	buffer_printf(errors, "main.cf: message_reject_characters: %s: %s\n",
	              c->set.reject_characters, wrong);
	return false;
}

static struct setting_list
copy_list(struct arena *a, const struct setting_list *list)
{
	const char **item = arena_take_array(a, list->count + 1, sizeof *item);

	for (size_t i = 0; i < list->count; i++)
		item[i] = arena_copy(a, bytes_of(list->item[i]));
	return (struct setting_list){ item, list->count };
}

static int mood_now = CALM;

void
receiver_mood(int mood)
{
	mood_now = mood;
}

const struct patience *
receiver_patience(const struct receiver_config *c)
{
	return &c->patience[mood_now];
}

bool
receiver_is_stressed(const struct receiver_config *c)
{
	return mood_now == STRESS || *c->set.stress != '\0';
}

void
receiver_config_stress(struct receiver_config *c, const struct receiver_settings *set)
{
	c->patience[STRESS] = (struct patience){
		.timeout = set->timeout,
		.greet_wait = set->greet_wait,
		.hard_errors = set->hard_errors,
		.junk_commands = set->junk_commands,
		.deadline = set->deadline,
	};
}

/* What is kept as it is written. */
static const size_t kept_texts[] = {
	AT(banner),         AT(reject_footer), AT(greet_banner),    AT(reject_characters),
	AT(content_filter), AT(remote_domain), AT(verp_delimiters), AT(verp_filter),
};
static const size_t kept_lists[] = {
	AT(auth_mechanisms), AT(forbidden_commands),
	AT(local_clients),   AT(known_certificates),
	AT(drop_fields),     AT(no_soliciting),
	AT(discarded_of),    AT(footer_tables),
	AT(command_tables),  AT(noops),
	AT(screen_access),   AT(flush_domains),
	AT(account_limits),
};
/* Lists of clients, which are read here once and for all. */
#define OF(f) offsetof(struct receiver_config, f)
static const struct client_list {
	size_t      list, networks;
	const char *name;
} client_lists[] = {
	{ AT(limit_exceptions), OF(exceptions), "smtpd_client_event_limit_exceptions" },
	{ AT(bare_newline_exclusions), OF(bare_excluded), "smtpd_forbid_bare_newline_exclusions" },
	{ AT(verp_clients), OF(verp_clients), "smtpd_authorized_verp_clients" },
	{ AT(expn_hosts), OF(expn_hosts), "smtpd_authorized_expn_hosts" },
	{ AT(screen_allow), OF(screen_allow), "postscreen_allow_list" },
	{ AT(auth_exceptions), OF(auth_excepted), "smtpd_sasl_exceptions_networks" },
	{ AT(xclient_hosts), OF(xclient_hosts), "smtpd_authorized_xclient_hosts" },
	{ AT(xforward_hosts), OF(xforward_hosts), "smtpd_authorized_xforward_hosts" },
};
#undef OF

/* The settings may go; these stay. */
static void
keep_settings(struct receiver_config *c, const struct receiver_settings *set)
{
	c->set = *set;
	for (size_t i = 0; i < COUNT(kept_texts); i++) {
		void        *at = (char *)&c->set + kept_texts[i];
		const char **text = at;

		*text = arena_copy(c->life, bytes_of(*text));
	}
	for (size_t i = 0; i < COUNT(kept_lists); i++) {
		void                *at = (char *)&c->set + kept_lists[i];
		struct setting_list *list = at;

		*list = copy_list(c->life, list);
	}
	c->set.old_deadline = "";
	c->set.stress = "";
	receiver_config_stress(c, set);
	c->patience[CALM] = c->patience[STRESS];
}

static bool
read_clients(struct receiver_config *c, const struct setting_list *mynetworks,
             struct network_tables *tables, struct buffer *errors)
{
	bool good = read_networks(c->life, mynetworks, "mynetworks", &c->mynetworks, errors);

	c->mynetworks.tables = tables;
	for (size_t i = 0; i < COUNT(client_lists); i++) {
		const struct client_list *l = &client_lists[i];
		void                     *at = (char *)&c->set + l->list;
		void                     *out = (char *)c + l->networks;
		struct setting_list      *list = at;
		struct networks          *clients = out;

		good = good && read_networks(c->life, list, l->name, clients, errors);
		*list = (struct setting_list){ NULL, 0 };
		clients->tables = tables;
	}
	return good;
}

struct receiver_config *
receiver_config_open(const struct receiver_settings *set, enum receiver_kind kind,
                     const char *listener, const char *service, const char *myhostname,
                     const char *myorigin, const char *mail_name,
                     const struct setting_list *mynetworks, struct network_tables *tables,
                     struct buffer *errors)
{
	struct arena           *a = arena_open(NULL);
	struct receiver_config *c = arena_take(a, sizeof *c);

	c->life = a;
	c->users = 1;
	c->kind = kind;
	keep_settings(c, set);
	c->listener = arena_copy(a, bytes_of(listener));
	c->service = arena_copy(a, bytes_of(service));
	c->myhostname = arena_copy(a, bytes_of(myhostname));
	c->myorigin = arena_copy(a, bytes_of(myorigin));
	c->mail_name = arena_copy(a, bytes_of(mail_name));
	if (read_discarded(&set->discarded, &c->discarded, errors) &&
	    read_spendings(&set->account_limits, errors) &&
	    read_local_clients(&set->local_clients, errors) &&
	    read_options(&set->sasl_options, "smtpd_sasl_security_options", &c->banned, errors) &&
	    read_options(&set->sasl_tls_options, "smtpd_sasl_tls_security_options", &c->banned_tls,
	                 errors) &&
	    read_clients(c, mynetworks, tables, errors) &&
	    read_screen_access(&set->screen_access, errors) && read_characters(c, errors)) {
		c->tables = tables;
		if (tables != NULL)
			tables->users++;
		return c;
	}
	arena_close(&a);
	return NULL;
}

struct receiver_config *
receiver_config_take(struct receiver_config *c)
{
	c->users++;
	return c;
}

void
receiver_config_drop(struct receiver_config **cp)
{
	struct receiver_config *c = *cp;
	struct arena           *life;

	*cp = NULL;
	if (c == NULL || --c->users > 0)
		return;
	if (c->tls != NULL)
		tls_close(&c->tls);
	if (c->tables != NULL && --c->tables->users == 0)
		c->tables->close(c->tables);
	if (c->lists_drop != NULL)
		c->lists_drop(c->lists);
	life = c->life;
	arena_close(&life);
}
