#include "unit.h"

#include "base/clock.h"
#include "policy/rules.h"
#include "kit.h"

#define HI "220 mail.example.com ESMTP Mansio\r\n"
#define EHLO_HEAD "250-mail.example.com\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250-VRFY\r\n"
#define EHLO_TAIL_OF(limits) "250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n" \
	"250-BINARYMIME\r\n250-DELIVERBY 60\r\n250-MT-PRIORITY\r\n250 LIMITS " limits "\r\n"
#define EHLO_TAIL EHLO_TAIL_OF("MAILMAX=100 RCPTMAX=100")
#define LHLO EHLO_HEAD "250-STARTTLS\r\n" EHLO_TAIL_OF("RCPTMAX=1000")
#define EHLO                                                                              \
	EHLO_HEAD "250-STARTTLS\r\n" EHLO_TAIL
#define OK "250 2.0.0 Ok\r\n"
#define MAIL "MAIL FROM:<a@b.org>\r\n"
#define RCPT "RCPT TO:<jill@example.com>\r\n"
#define MAIL_OK "250 2.1.0 Ok\r\n"
#define RCPT_OK "250 2.1.5 Ok\r\n"
#define GO "354 End data with <CR><LF>.<CR><LF>\r\n"
#define QUEUED "250 2.0.0 Ok: queued as 1A2B\r\n"
#define BYE "221 2.0.0 Bye\r\n"
#define IN_CLEAR "smtpd_tls_auth_only = no\nsmtpd_tls_security_level = may\nsubmission/smtpd_tls_security_level = may\n"
#define LOG_IN "HELO c\r\nAUTH PLAIN AGphY2tAZXhhbXBsZS5jb20Ac2VjcmV0\r\n"
#define LET_IN "250 mail.example.com\r\n235 2.7.0 Authentication successful\r\n"

/* clang-format off */
static const struct session_case {
	const char *why;
	enum receiver_kind kind;
	const char *cf, *in, *out;
} cases[] = {
	{ "rfc5321:D.1 a letter", KIND_SMTP, "",
	  "EHLO c.org\r\n" MAIL RCPT "DATA\r\nA: b\r\n\r\nx\r\n.\r\nQUIT\r\n",
	  HI EHLO MAIL_OK RCPT_OK GO QUEUED BYE },
	{ "R62 HELO", KIND_SMTP, "", "HELO c.org\r\n", HI "250 mail.example.com\r\n" },
	{ "R66 lower case, blanks, no brackets", KIND_SMTP, "",
	  "helo c\r\nmail from: a@b.org\r\nrcpt to: <jill@example.com>\r\n", HI "250 mail.example.com\r\n" MAIL_OK RCPT_OK },
	{ "the same is refused when strict", KIND_SMTP, "strict_rfc821_envelopes = yes\n",
	  "MAIL FROM: <a@b.org>\r\nMAIL FROM:a@b.org\r\n", HI "501 5.1.7 Bad sender address syntax\r\n501 5.1.7 Bad sender address syntax\r\n" },
	{ "R60 commands typed with LF alone", KIND_SMTP, "", "HELO c\nNOOP\n", HI "250 mail.example.com\r\n" OK },
	{ "and refused when so said", KIND_SMTP, "smtpd_forbid_bare_newline = reject\n", "HELO c\nNOOP\n",
	  HI "521 5.5.2 mail.example.com Error: bare <LF> received\r\n" },
	{ "R67 some recipients refused", KIND_SMTP, "",
	  MAIL "RCPT TO:<joe@example.com>\r\n" RCPT "DATA\r\n.\r\n",
	  HI MAIL_OK "550 5.1.1 <joe@example.com>: Recipient address rejected: User unknown in virtual mailbox table\r\n"
	  RCPT_OK GO QUEUED },
	{ "R69 relay", KIND_SMTP, "", MAIL "RCPT TO:<x@y.org>\r\nDATA\r\n",
	  HI MAIL_OK "554 5.7.1 <x@y.org>: Relay access denied\r\n554 5.5.1 Error: no valid recipients\r\n" },
	{ "cannot tell now", KIND_SMTP, "", MAIL "RCPT TO:<later@example.com>\r\n",
	  HI MAIL_OK "451 4.3.0 <later@example.com>: Temporary lookup failure\r\n" },
	{ "rfc5321:4.5.1 postmaster", KIND_SMTP, "", MAIL "RCPT TO:<Postmaster>\r\n", HI MAIL_OK RCPT_OK },
	{ "R79 a bare name", KIND_SMTP, "", "MAIL FROM:<jack>\r\nRCPT TO:<jill>\r\n", HI MAIL_OK RCPT_OK },
	{ "rfc5321:4.1.1.3 a source route is forgotten", KIND_SMTP, "",
	  MAIL "RCPT TO:<@example.com:x@y.org>\r\n", HI MAIL_OK "554 5.7.1 <x@y.org>: Relay access denied\r\n" },
	{ "rfc5321:4.1.4 order", KIND_SMTP, "", RCPT "DATA\r\n" MAIL MAIL "DATA\r\n",
	  HI "503 5.5.1 Error: need MAIL command\r\n503 5.5.1 Error: need MAIL command\r\n" MAIL_OK
	  "503 5.5.1 Error: nested MAIL command\r\n503 5.5.1 Error: need RCPT command\r\n" },
	{ "R74 RSET and EHLO forget the transaction", KIND_SMTP, "",
	  MAIL RCPT "RSET\r\nDATA\r\n" MAIL "HELO x\r\n" RCPT, HI MAIL_OK RCPT_OK OK "503 5.5.1 Error: need MAIL command\r\n"
	  MAIL_OK "250 mail.example.com\r\n503 5.5.1 Error: need MAIL command\r\n" },
	{ "helo demanded", KIND_SMTP, "smtpd_helo_required = yes\n", MAIL, HI "503 5.5.1 Error: send HELO/EHLO first\r\n" },
	{ "helo without a name", KIND_SMTP, "", "EHLO\r\nEHLO  \r\n", HI "501 5.5.4 Syntax: EHLO hostname\r\n501 5.5.4 Syntax: EHLO hostname\r\n" },
	{ "R65 SIZE too large", KIND_SMTP, "message_size_limit = 1000\n", "MAIL FROM:<> SIZE=1001\r\n",
	  HI "552 5.3.4 Message size exceeds fixed limit\r\n" },
	{ "SIZE that fits, BODY, AUTH", KIND_SMTP, "", "MAIL FROM:<> SIZE=1000 BODY=8BITMIME AUTH=<>\r\n", HI MAIL_OK },
	{ "rfc1870:6 SIZE is a number", KIND_SMTP, "", "MAIL FROM:<> SIZE=1x\r\n", HI "501 5.5.4 Bad message size syntax\r\n" },
	{ "rfc5321:4.1.1.11 unknown parameters", KIND_SMTP, "", "MAIL FROM:<> FOO=1\r\n" MAIL "RCPT TO:<jill@example.com> FOO=NEVER\r\n",
	  HI "555 5.5.4 Unsupported option: FOO=1\r\n" MAIL_OK "555 5.5.4 Unsupported option: FOO=NEVER\r\n" },
	{ "a letter that is too large is heard to its end", KIND_SMTP, "message_size_limit = 10\n",
	  MAIL RCPT "DATA\r\n\r\n0123456789\r\n.\r\nNOOP\r\n", HI MAIL_OK RCPT_OK GO "552 5.3.4 Error: message file too big\r\n" OK },
	{ "a header that is too long", KIND_SMTP, "header_total_limit = 10\n",
	  MAIL RCPT "DATA\r\nSubject: 0123456789\r\n\r\n.\r\nNOOP\r\n",
	  HI MAIL_OK RCPT_OK GO "552 5.3.4 Error: message header size exceeds fixed limit\r\n" OK },
	{ "rfc5321:6.3 too many hops", KIND_SMTP, "hopcount_limit = 1\n",
	  MAIL RCPT "DATA\r\nReceived: a\r\nReceived: b\r\n\r\n.\r\n", HI MAIL_OK RCPT_OK GO "554 5.4.6 Error: too many hops\r\n" },
	{ "bare LF in content refused when so said", KIND_SMTP, "smtpd_forbid_bare_newline = reject\n",
	  MAIL RCPT "DATA\r\n\r\na\nb\r\n.\r\n", HI MAIL_OK RCPT_OK GO "550 5.5.2 Error: bare <LF> received\r\n" },
	{ "smuggling: one letter, not two", KIND_SMTP, "",
	  MAIL RCPT "DATA\r\n\r\na\r\n.\nMAIL FROM:<evil@b.org>\nRCPT TO:<jack@example.com>\nDATA\n\n.\r\n.\r\n",
	  HI MAIL_OK RCPT_OK GO QUEUED },
	{ "R76 unknown words", KIND_SMTP, "", "DONE\r\n\r\nFOO BAR\r\n",
	  HI "500 5.5.2 Error: command not recognized\r\n500 5.5.2 Error: bad syntax\r\n500 5.5.2 Error: command not recognized\r\n" },
	{ "a line that is too long", KIND_SMTP, "line_length_limit = 512\n",
	  "NOOP 0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
	  "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
	  "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
	  "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
	  "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
	  "0123456789\r\nNOOP\r\n", HI "500 5.5.2 Error: line too long\r\n" OK },
	{ "a browser", KIND_SMTP, "", "GET / HTTP/1.1\r\nHost: x\r\n", HI "221 2.7.0 Error: I can break rules, too. Goodbye.\r\n" },
	{ "hard errors", KIND_SMTP, "smtpd_hard_error_limit = 2\n", "FOO\r\nFOO\r\nNOOP\r\n",
	  HI "500 5.5.2 Error: command not recognized\r\n500 5.5.2 Error: command not recognized\r\n"
	  "421 4.7.0 mail.example.com Error: too many errors\r\n" },
	{ "a letter that is taken begins the count anew", KIND_SMTP, "smtpd_hard_error_limit = 2\n", "FOO\r\n" MAIL RCPT "DATA\r\n.\r\nFOO\r\nNOOP\r\n",
	  HI "500 5.5.2 Error: command not recognized\r\n" MAIL_OK RCPT_OK GO QUEUED "500 5.5.2 Error: command not recognized\r\n" OK },
	{ "soft errors only slow", KIND_SMTP, "smtpd_soft_error_limit = 1\n", "FOO\r\nFOO\r\nFOO\r\nNOOP\r\n",
	  HI "500 5.5.2 Error: command not recognized\r\n500 5.5.2 Error: command not recognized\r\n500 5.5.2 Error: command not recognized\r\n" OK },
	{ "junk commands become errors", KIND_SMTP, "smtpd_hard_error_limit = 1\nsmtpd_junk_command_limit = 1\n", "NOOP\r\nRSET\r\nNOOP\r\nNOOP\r\n",
	  HI OK OK OK "421 4.7.0 mail.example.com Error: too many errors\r\n" },
	{ "rfc5321:4.5.3.1.10 too many recipients", KIND_SMTP, "smtpd_recipient_limit_stranger = 1\n", MAIL RCPT RCPT "DATA\r\n.\r\n",
	  HI MAIL_OK RCPT_OK "452 4.5.3 Error: too many recipients\r\n" GO QUEUED },
	{ "nor do those refused count", KIND_SMTP, "smtpd_recipient_limit_stranger = 1\n", MAIL "RCPT TO:<joe@example.com>\r\n" RCPT RCPT,
	  HI MAIL_OK "550 5.1.1 <joe@example.com>: Recipient address rejected: User unknown in virtual mailbox table\r\n" RCPT_OK "452 4.5.3 Error: too many recipients\r\n" },
	{ "rates: messages", KIND_SMTP, "smtpd_client_message_rate_limit = 1\n", MAIL, HI "450 4.7.1 Error: too much mail from 192.0.2.7\r\n" },
	{ "rates: recipients", KIND_SMTP, "smtpd_client_recipient_rate_limit = 1\n", MAIL RCPT,
	  HI MAIL_OK "450 4.7.1 Error: too many recipients from 192.0.2.7\r\n" },
	{ "VRFY", KIND_SMTP, "", "VRFY jill\r\nVRFY <joe@example.com>\r\nVRFY x@y.org\r\nVRFY\r\n",
	  HI "252 2.0.0 <jill@example.com>\r\n550 5.1.1 <joe@example.com>: Recipient address rejected: User unknown in virtual mailbox table\r\n"
	  "554 5.7.1 <x@y.org>: Relay access denied\r\n501 5.5.4 Syntax: VRFY address [SMTPUTF8]\r\n" },
	{ "R166 VRFY disabled", KIND_SMTP, "disable_vrfy_command = yes\n", "VRFY jill\r\n", HI "502 5.5.1 VRFY command is disabled\r\n" },
	{ "AUTH where nobody may", KIND_SMTP, "", "EHLO c\r\nAUTH PLAIN\r\n", HI EHLO "503 5.5.1 Error: authentication not enabled\r\n" },
	{ "plain mechanisms need TLS, SCRAM does not", KIND_SMTP, "smtpd_sasl_auth_enable = yes\n", "EHLO c\r\nAUTH PLAIN\r\n",
	  HI "250-mail.example.com\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250-VRFY\r\n250-STARTTLS\r\n250-AUTH SCRAM-SHA-256\r\n"
	  EHLO_TAIL "538 5.7.11 Encryption required for requested authentication mechanism\r\n" },
	{ "no TLS there", KIND_SMTP, "smtpd_tls_security_level = none\n", "STARTTLS\r\n", HI "502 5.5.1 Error: command not implemented\r\n" },
	{ "empty is as not set", KIND_SMTP, "smtpd_tls_security_level =\nsmtpd_use_tls = no\n", "STARTTLS\r\n", HI "502 5.5.1 Error: command not implemented\r\n" },
	{ "empty by another name", KIND_SMTP, "me =\nsmtpd_tls_security_level = $me\nsmtpd_enforce_tls = yes\n", MAIL, HI "530 5.7.0 Must issue a STARTTLS command first\r\n" },
	{ "submission: empty is as not set", KIND_SUBMISSION, "submission/smtpd_tls_security_level =\n", MAIL, HI "530 5.7.0 Must issue a STARTTLS command first\r\n" },
	{ "STARTTLS takes nothing", KIND_SMTP, "", "STARTTLS now\r\n", HI "501 5.5.4 Error: no parameters allowed\r\n" },
	{ "submission: TLS first", KIND_SUBMISSION, "smtpd_future_release_limit = 0\n", "EHLO c\r\n" MAIL "AUTH PLAIN\r\nNOOP\r\n",
	  HI LHLO "530 5.7.0 Must issue a STARTTLS command first\r\n530 5.7.0 Must issue a STARTTLS command first\r\n" OK },
	{ "submission: what kind means goes before what is said of all", KIND_SUBMISSION, "smtpd_tls_security_level = may\n",
	  MAIL, HI "530 5.7.0 Must issue a STARTTLS command first\r\n" },
	{ "submission: said of it alone", KIND_SUBMISSION, "submission/smtpd_tls_security_level = may\nsubmission/smtpd_sasl_auth_required = no\n",
	  MAIL, HI MAIL_OK },
	{ "LMTP speaks LHLO", KIND_LMTP, "", "EHLO c\r\nHELO c\r\n" MAIL "LHLO c\r\n" MAIL,
	  HI "500 5.5.2 Error: command not recognized\r\n500 5.5.2 Error: command not recognized\r\n503 5.5.1 Error: send HELO/EHLO first\r\n"
	  LHLO MAIL_OK },
	{ "rfc2033:4.2 LMTP answers for each recipient", KIND_LMTP, "",
	  "LHLO c\r\n" MAIL RCPT "RCPT TO:<joe@example.com>\r\nRCPT TO:<jack@example.com>\r\nDATA\r\n.\r\nQUIT\r\n",
	  HI LHLO MAIL_OK RCPT_OK "550 5.1.1 <joe@example.com>: Recipient address rejected: User unknown in virtual mailbox table\r\n" RCPT_OK GO
	  "250 2.0.0 <jill@example.com> Ok: queued as 1A2B\r\n250 2.0.0 <jack@example.com> Ok: queued as 1A2B\r\n" BYE },
	{ "rfc2033:4.2 LMTP DATA without recipients", KIND_LMTP, "", "LHLO c\r\n" MAIL "RCPT TO:<joe@example.com>\r\nDATA\r\n",
	  HI LHLO MAIL_OK "550 5.1.1 <joe@example.com>: Recipient address rejected: User unknown in virtual mailbox table\r\n"
	  "503 5.5.1 Error: need RCPT command\r\n" },
	{ "LHLO is not SMTP", KIND_SMTP, "", "LHLO c\r\n", HI "500 5.5.2 Error: command not recognized\r\n" },
	{ "rfc3030:4.1 a letter in one chunk", KIND_SMTP, "", MAIL RCPT "BDAT 8 LAST\r\nA: b\r\n\r\nQUIT\r\n", HI MAIL_OK RCPT_OK QUEUED BYE },
	{ "rfc3030:4.2 in several, the last one empty", KIND_SMTP, "", MAIL RCPT "BDAT 4\r\nA: bBDAT 4\r\n\r\n\r\nbdat 0 last\r\nNOOP\r\n",
	  HI MAIL_OK RCPT_OK "250 2.0.0 Ok: 4 bytes\r\n" "250 2.0.0 Ok: 4 bytes\r\n" QUEUED OK },
	{ "rfc3030:2 what looks like commands within a chunk is none", KIND_SMTP, "", MAIL RCPT "BDAT 24 LAST\r\n\r\n.\r\nRSET\r\nBDAT 9 LAST\r\nNOOP\r\n",
	  HI MAIL_OK RCPT_OK QUEUED OK },
	{ "rfc3030:2 not mixed with DATA", KIND_SMTP, "", MAIL RCPT "BDAT 3\r\nA: DATA\r\nRCPT TO:<jack@example.com>\r\n" MAIL "BDAT 0 LAST\r\n",
	  HI MAIL_OK RCPT_OK "250 2.0.0 Ok: 3 bytes\r\n503 5.5.1 Error: DATA after BDAT\r\n503 5.5.1 Error: RCPT after BDAT\r\n"
	  "503 5.5.1 Error: nested MAIL command\r\n" QUEUED },
	{ "rfc3030:2 RSET in the middle", KIND_SMTP, "", MAIL RCPT "BDAT 3\r\nA: RSET\r\nBDAT 5 LAST\r\nNOOP\n" MAIL RCPT "DATA\r\n.\r\n",
	  HI MAIL_OK RCPT_OK "250 2.0.0 Ok: 3 bytes\r\n" OK "503 5.5.1 Error: need MAIL command\r\n" MAIL_OK RCPT_OK GO QUEUED },
	{ "rfc3030:2 the chunk of a refused BDAT is heard and forgotten", KIND_SMTP, "",
	  "BDAT 6 LAST\r\nNOOP\r\nNOOP\r\n" MAIL "RCPT TO:<joe@example.com>\r\nBDAT 6\r\nNOOP\r\nBDAT 0 LAST\r\nNOOP\r\n",
	  HI "503 5.5.1 Error: need MAIL command\r\n" OK MAIL_OK
	  "550 5.1.1 <joe@example.com>: Recipient address rejected: User unknown in virtual mailbox table\r\n"
	  "554 5.5.1 Error: no valid recipients\r\n554 5.5.1 Error: no valid recipients\r\n" OK },
	{ "a count that is none ends the session", KIND_SMTP, "", MAIL RCPT "BDAT x\r\nNOOP\r\n", HI MAIL_OK RCPT_OK "521 5.5.4 Syntax: BDAT count [LAST]\r\n" },
	{ "a count below nothing, too", KIND_SMTP, "", "BDAT -1\r\nNOOP\r\n", HI "521 5.5.4 Syntax: BDAT count [LAST]\r\n" },
	{ "and one past all numbers", KIND_SMTP, "", MAIL RCPT "BDAT 18446744073709551616 LAST\r\nNOOP\r\n", HI MAIL_OK RCPT_OK "521 5.5.4 Syntax: BDAT count [LAST]\r\n" },
	{ "and more than is ever taken", KIND_SMTP, "message_size_limit = 10\n", MAIL RCPT "BDAT 99999999999 LAST\r\nNOOP\r\n", HI MAIL_OK RCPT_OK "552 5.3.4 Chunk exceeds message size limit\r\n" },
	{ "another word than LAST", KIND_SMTP, "", MAIL RCPT "BDAT 6 NEXT\r\nNOOP\r\n", HI MAIL_OK RCPT_OK "521 5.5.4 Syntax: BDAT count [LAST]\r\n" },
	{ "chunks that are too large together", KIND_SMTP, "message_size_limit = 10\n", MAIL RCPT "BDAT 7\r\n\r\n12345BDAT 6\r\nNOOP\r\nBDAT 5 LAST\r\nNOOP\nNOOP\r\n",
	  HI MAIL_OK RCPT_OK "250 2.0.0 Ok: 7 bytes\r\n552 5.3.4 Error: message file too big\r\n503 5.5.1 Error: need MAIL command\r\n" OK },
	{ "rfc4468:3 a letter of URLs and chunks", KIND_SUBMISSION, IN_CLEAR, LOG_IN MAIL RCPT "BURL imap://u@h/A:_b\r\nBDAT 3\r\n\r\ncburl imap://u@h/text last\r\nNOOP\r\n",
	  HI LET_IN MAIL_OK RCPT_OK "250 2.5.0 Waiting for additional BURL or BDAT commands\r\n250 2.0.0 Ok: 3 bytes\r\n" QUEUED OK },
	{ "rfc4468:6 rfc5248 what cannot be had ends the transaction", KIND_SUBMISSION, IN_CLEAR, LOG_IN MAIL RCPT "BURL imap://u@h/not LAST\r\nBURL imap://u@h/x LAST\r\n"
	  MAIL RCPT "BURL imap://u@h/else\r\n" MAIL RCPT "BURL imap://u@h/later\r\n" MAIL RCPT "BURL imap://u@h/half LAST\r\n" MAIL RCPT "BURL imap://u@h/cr LAST\r\nNOOP\r\n",
	  HI LET_IN MAIL_OK RCPT_OK "554 5.6.6 IMAP URL resolution failed\r\n503 5.5.1 Error: need MAIL command\r\n"
	  MAIL_OK RCPT_OK "554 5.7.14 URL resolution requires trust relationship\r\n" MAIL_OK RCPT_OK "451 4.4.1 IMAP server unavailable\r\n"
	  MAIL_OK RCPT_OK "451 4.4.1 IMAP server unavailable\r\n" MAIL_OK RCPT_OK "554 5.6.3 Conversion required but not supported\r\n" OK },
	{ "rfc4468:6 nor what is too large", KIND_SUBMISSION, IN_CLEAR "message_size_limit = 8\n", LOG_IN MAIL RCPT "BDAT 4\r\nA:\r\nBURL imap://u@h/abc LAST\r\nNOOP\r\n",
	  HI LET_IN MAIL_OK RCPT_OK "250 2.0.0 Ok: 4 bytes\r\n554 5.3.4 Message too big for system\r\n" OK },
	{ "rfc4468:3.1 neither before the login nor on port 25 nor without CHUNKING", KIND_SMTP, "smtpd_sasl_auth_enable = yes\n" IN_CLEAR, LOG_IN MAIL RCPT "BURL imap://u@h/x LAST\r\n",
	  HI LET_IN MAIL_OK RCPT_OK "502 5.5.1 Error: command not implemented\r\n" },
	{ "rfc3030:3 BINARYMIME needs BDAT", KIND_SMTP, "", "MAIL FROM:<a@b.org> BODY=BINARYMIME\r\n" RCPT "DATA\r\nBDAT 2 LAST\r\n\r\n",
	  HI MAIL_OK RCPT_OK "503 5.5.1 Error: BINARYMIME needs BDAT\r\n" QUEUED },
	{ "not offered, not there", KIND_SMTP, "smtpd_discard_ehlo_keywords = chunking, silent-discard\n", "MAIL FROM:<> BODY=BINARYMIME\r\n" MAIL RCPT "BDAT 0 LAST\r\n",
	  HI "501 5.5.4 Syntax: BODY=7BIT or BODY=8BITMIME\r\n" MAIL_OK RCPT_OK "521 5.5.1 Error: command not implemented\r\n" },
	{ "rfc2033:4.3 LMTP answers for each recipient behind the last chunk alone", KIND_LMTP, "",
	  "LHLO c\r\n" MAIL RCPT "RCPT TO:<jack@example.com>\r\nBDAT 3\r\nA: BDAT 0 LAST\r\n",
	  HI LHLO MAIL_OK RCPT_OK RCPT_OK "250 2.0.0 Ok: 3 bytes\r\n"
	  "250 2.0.0 <jill@example.com> Ok: queued as 1A2B\r\n250 2.0.0 <jack@example.com> Ok: queued as 1A2B\r\n" },
	{ "rfc2033:4.2 who is full by then is told so, the others get it", KIND_LMTP, "",
	  "LHLO c\r\n" MAIL RCPT "RCPT TO:<full@example.com>\r\nRCPT TO:<jack@example.com>\r\nDATA\r\n.\r\nQUIT\r\n",
	  HI LHLO MAIL_OK RCPT_OK RCPT_OK RCPT_OK GO
	  "250 2.0.0 <jill@example.com> Ok: queued as 1A2B\r\n552 5.2.2 <full@example.com> Quota exceeded (mailbox for user is full)\r\n"
	  "250 2.0.0 <jack@example.com> Ok: queued as 1A2B\r\n" BYE },
	{ "rfc2033:4.2 nobody is left", KIND_LMTP, "", "LHLO c\r\n" MAIL "RCPT TO:<full@example.com>\r\nBDAT 0 LAST\r\nQUIT\r\n",
	  HI LHLO MAIL_OK RCPT_OK "552 5.2.2 <full@example.com> Quota exceeded (mailbox for user is full)\r\n" BYE },
	{ "hops are counted in chunks, too", KIND_SMTP, "hopcount_limit = 1\n", MAIL RCPT "BDAT 28 LAST\r\nReceived: a\r\nReceived: b\r\n\r\nNOOP\r\n",
	  HI MAIL_OK RCPT_OK "554 5.4.6 Error: too many hops\r\n" OK },
	{ "rfc6531 an address beyond US-ASCII is asked for, and said again", KIND_SMTP, "",
	  "MAIL FROM:<\xc3\xbc@b.org> SMTPUTF8\r\nRCPT TO:<\xe5\xbc\xa0@example.com>\r\nRSET\r\n" MAIL "RCPT TO:<\xe5\xbc\xa0@example.com>\r\n",
	  HI MAIL_OK "550 5.1.1 <\xe5\xbc\xa0@example.com>: Recipient address rejected: User unknown in virtual mailbox table\r\n" OK
	  MAIL_OK "553 5.6.7 Must declare SMTPUTF8 to send unicode address\r\n" },
	{ "rfc6531:3.7.4.2 VRFY", KIND_SMTP, "", "VRFY \xe5\xbc\xa0@example.com\r\nVRFY \xe5\xbc\xa0@example.com SMTPUTF8\r\nVRFY\r\n",
	  HI "553 5.6.7 Must declare SMTPUTF8 to send unicode address\r\n550 5.1.1 <\xe5\xbc\xa0@example.com>: Recipient address rejected: User unknown in virtual mailbox table\r\n"
	  "501 5.5.4 Syntax: VRFY address [SMTPUTF8]\r\n" },
	{ "switched off", KIND_SMTP, "smtputf8_enable = no\n", "MAIL FROM:<> SMTPUTF8\r\nMAIL FROM:<\xc3\xbc@b.org>\r\n",
	  HI "555 5.5.4 Unsupported option: SMTPUTF8\r\n501 5.1.7 Bad sender address syntax\r\n" },
	{ "rfc3461 of its parameters", KIND_SMTP, "", "MAIL FROM:<a@b.org> RET=HDRS ENVID=QQ314159\r\nRCPT TO:<jill@example.com> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Jill@Example.com\r\n",
	  HI MAIL_OK RCPT_OK },
	{ "DSN is discarded", KIND_SMTP, "smtpd_discard_ehlo_keywords = dsn\n", "MAIL FROM:<> RET=FULL\r\n" MAIL "RCPT TO:<jill@example.com> NOTIFY=NEVER\r\n",
	  HI "555 5.5.4 Unsupported option: RET=FULL\r\n" MAIL_OK "555 5.5.4 Unsupported option: NOTIFY=NEVER\r\n" },
	{ "rfc8689:2 REQUIRETLS where there is none", KIND_SMTP, "", "MAIL FROM:<> REQUIRETLS\r\n", HI "555 5.5.4 Unsupported option: REQUIRETLS\r\n" },
	{ "rfc4865 is for submission", KIND_SMTP, "", "MAIL FROM:<> HOLDFOR=60\r\n", HI "555 5.5.4 Unsupported option: HOLDFOR=60\r\n" },
	{ "rfc4865:4.2 for so long and no longer", KIND_SUBMISSION, "submission/smtpd_tls_security_level = may\nsubmission/smtpd_sasl_auth_required = no\nsmtpd_future_release_limit = 1h\n",
	  "MAIL FROM:<> HOLDFOR=3601\r\nMAIL FROM:<> HOLDFOR=3600\r\n", HI "501 5.5.4 Error: a letter is not held for so long\r\n" MAIL_OK },
	{ "rfc2852:4.1.5 too soon to be returned, not to be told of", KIND_SMTP, "smtpd_deliver_by_minimum = 2m\n", "MAIL FROM:<> BY=119;R\r\nMAIL FROM:<> BY=119;N\r\n",
	  HI "554 5.4.7 Error: the time for the delivery is too short\r\n" MAIL_OK },
	{ "rfc6710 a stranger has no priority, and is told so", KIND_SMTP, "", "MAIL FROM:<a@b.org> MT-PRIORITY=4\r\n" RCPT "DATA\r\n.\r\n",
	  HI MAIL_OK RCPT_OK GO "250 2.3.6 0 is its priority; Ok: queued as 1A2B\r\n" },
	{ "rfc6710 where all may", KIND_SMTP, "smtpd_priority_permitted = all\n", "MAIL FROM:<a@b.org> MT-PRIORITY=4\r\n" RCPT "DATA\r\n.\r\n", HI MAIL_OK RCPT_OK GO QUEUED },
	{ "rfc3865:2.3", KIND_SMTP, "smtpd_no_soliciting = org.example:ADV\n", "MAIL FROM:<> SOLICIT=net.example:ADV,org.example:ADV:ADLT\r\nMAIL FROM:<> SOLICIT=org.example:ADVICE\r\n",
	  HI "550 5.7.1 Error: no soliciting here\r\n" MAIL_OK },
	{ "rfc3865:2.5 the field, too", KIND_SMTP, "smtpd_no_soliciting = org.example:ADV\n", MAIL RCPT "DATA\r\nSolicitation: org.example:ADV\r\n\r\n.\r\n",
	  HI MAIL_OK RCPT_OK GO "550 5.7.1 Error: no soliciting here\r\n" },
	{ "rfc9422:4 LIMITS are kept", KIND_SMTP, "smtpd_session_message_limit = 1\nsmtpd_session_domain_limit = 1\nsmtpd_recipient_limit_stranger = 7\nsmtpd_discard_ehlo_keywords = pipelining size vrfy starttls enhancedstatuscodes 8bitmime dsn smtputf8 chunking deliverby mt-priority\n",
	  "EHLO c\r\n" MAIL RCPT "RCPT TO:<jack@example.org>\r\nRSET\r\n" MAIL,
	  HI "250-mail.example.com\r\n250 LIMITS MAILMAX=1 RCPTMAX=7 RCPTDOMAINMAX=1\r\n" MAIL_OK RCPT_OK "452 4.5.3 Error: too many domains in one session\r\n" OK
	  "421 4.7.0 mail.example.com Error: too many messages in one connection\r\n" },
	{ "nothing at all is offered", KIND_SMTP, "smtpd_discard_ehlo_keywords = pipelining size vrfy starttls enhancedstatuscodes 8bitmime dsn smtputf8 chunking deliverby mt-priority limits\n",
	  "EHLO c\r\n", HI "250 mail.example.com\r\n" },
	{ "rfc5321:3.5.2 EXPN is not for everybody", KIND_SMTP, "", "EXPN all@example.com\r\n", HI "502 5.5.1 EXPN command is disabled\r\n" },
	{ "rfc5321:3.5.2 members of a list", KIND_SMTP, "smtpd_authorized_expn_hosts = 192.0.2.0/24\n",
	  "EXPN all\r\nEXPN <jill>\r\nEXPN joe\r\nEXPN\r\n",
	  HI "250-2.1.5 <jill@example.com>\r\n250 2.1.5 <jack@example.com>\r\n550 5.2.4 That is a mailbox, not a mailing list\r\n"
	  "550 5.1.1 <joe>: Recipient address rejected: User unknown in virtual mailbox table\r\n501 5.5.4 Syntax: EXPN address\r\n" },
	{ "rfc1985:5 ETRN", KIND_SMTP, "fast_flush_domains = example.net\n",
	  "ETRN relay.example.net\r\nETRN @relay.example.net\r\nETRN example.net\r\nETRN dead.example.net\r\n",
	  HI "253 2.0.0 OK, 3 pending messages for node relay.example.net started\r\n253 2.0.0 OK, 4 pending messages for node relay.example.net started\r\n"
	  "251 2.0.0 OK, no messages waiting for node example.net\r\n458 4.3.0 Unable to queue messages for node dead.example.net\r\n" },
	{ "rfc1985:5 ETRN for others", KIND_SMTP, "fast_flush_domains = example.net\n",
	  "ETRN\r\nETRN #queue\r\nETRN a_b..c\r\nETRN notexample.net\r\n" MAIL "ETRN example.net\r\n",
	  HI "500 5.5.4 Syntax: ETRN domain\r\n459 4.7.1 Node queue not allowed: not in fast_flush_domains\r\n501 5.5.4 Error: invalid parameter syntax\r\n"
	  "459 4.7.1 Node notexample.net not allowed: not in fast_flush_domains\r\n" MAIL_OK "503 5.5.1 Error: MAIL transaction in progress\r\n" },
	{ "rfc5321:4.1.1.8 HELP names what there is", KIND_SMTP, "disable_vrfy_command = yes\nsmtpd_tls_security_level = none\n", "HELP\r\n",
	  HI "214 2.0.0 Commands: HELO EHLO MAIL RCPT DATA BDAT RSET NOOP HELP QUIT\r\n" },
	{ "what is after QUIT is not heard", KIND_SMTP, "", "QUIT\r\nNOOP\r\n", HI BYE },
};
/* clang-format on */

static void
test_dialogues_for_every_split(void **state)
{
	static const size_t pieces[] = { 0, 1, 2, 3, 7, 64 };

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		for (size_t p = 0; p < COUNT(pieces); p++) {
			struct kit k;

			kit_open(&k, cases[i].kind, cases[i].cf);
			HOLDS(cases[i].why, k.session != NULL);
			kit_say(&k, bytes_of(cases[i].in), pieces[p]);
			SAME(cases[i].why, buffer_bytes(&k.out), bytes_of(cases[i].out));
			kit_close(&k);
		}
}

/* The answer comes later: nothing is taken meanwhile, and nothing is lost. */
static void
test_pipelined_commands_wait_for_answers(void **state)
{
	struct kit k;

	(void)state;
	kit_open(&k, KIND_SMTP, "");
	k.waits = true;
	kit_say(&k, BYTES(MAIL RCPT "RCPT TO:<joe@example.com>\r\nDATA\r\n\r\nx\r\n.\r\n"), 0);
	SAME("until the first answer", buffer_bytes(&k.out), BYTES(HI MAIL_OK));
	assert_true(session_waits(k.session));
	kit_answer(&k);
	SAME("until the second", buffer_bytes(&k.out), BYTES(HI MAIL_OK RCPT_OK));
	kit_answer(&k);
	SAME("all", buffer_bytes(&k.out),
	     BYTES(HI MAIL_OK RCPT_OK
	           "550 5.1.1 <joe@example.com>: Recipient address rejected: User unknown in virtual mailbox table\r\n" GO
	                   QUEUED));
	SAME("content", buffer_bytes(&k.stored), BYTES("\r\nx\r\n"));
	kit_close(&k);
}

/* rfc3207:4.2 and the injections of 2011 and 2021 */
static void
test_starttls_forgets_all(void **state)
{
	struct kit k;

	(void)state;
	kit_open(&k, KIND_SMTP, "");
	kit_say(&k, BYTES("EHLO c.org\r\n" MAIL "RSET\r\nSTARTTLS\r\n" MAIL RCPT), 0);
	SAME("injected commands are gone", buffer_bytes(&k.out),
	     BYTES(HI EHLO MAIL_OK OK "220 2.0.0 Ready to start TLS\r\n"));
	buffer_reset(&k.out);
	kit_say(&k, BYTES(RCPT "AUTH PLAIN\r\nEHLO c.org\r\nSTARTTLS\r\n"), 0);
	SAME("a new session", buffer_bytes(&k.out),
	     BYTES("503 5.5.1 Error: need MAIL command\r\n503 5.5.1 Error: send HELO/EHLO first\r\n"
	           EHLO_HEAD "250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n250-BINARYMIME\r\n"
	           "250-REQUIRETLS\r\n250-DELIVERBY 60\r\n250-MT-PRIORITY\r\n250 LIMITS MAILMAX=100 RCPTMAX=100\r\n"
	           "554 5.5.1 Error: TLS already active\r\n"));
	kit_close(&k);
	kit_open(&k, KIND_SMTP, "");
	kit_say(&k, BYTES(MAIL "STARTTLS\r\n"), 0);
	SAME("not inside a transaction", buffer_bytes(&k.out),
	     BYTES(HI MAIL_OK "503 5.5.1 Error: MAIL transaction in progress\r\n"));
	kit_close(&k);
}

/* clang-format off */
#define LOGGED_IN "AUTH PLAIN AGphY2tAZXhhbXBsZS5jb20Ac2VjcmV0\r\n"
#define WELCOME   "235 2.7.0 Authentication successful\r\n"
static const struct { const char *why, *in, *out; } auths[] = {
	{ "rfc4954:4 initial response", "AUTH PLAIN AGphY2tAZXhhbXBsZS5jb20Ac2VjcmV0\r\n", "235 2.7.0 Authentication successful\r\n" },
	{ "in two steps, lower case", "auth plain\r\nAGphY2tAZXhhbXBsZS5jb20Ac2VjcmV0\r\n", "334 \r\n235 2.7.0 Authentication successful\r\n" },
	{ "wrong password", "AUTH PLAIN AGphY2tAZXhhbXBsZS5jb20AeA==\r\n",
	  "535 5.7.8 Error: authentication failed: authentication failure\r\n" },
	{ "given up", "AUTH PLAIN\r\n*\r\nNOOP\r\n", "334 \r\n501 5.7.0 Authentication aborted\r\n" OK },
	{ "not base64", "AUTH PLAIN !!\r\nAUTH PLAIN\r\n$\r\n", "501 5.5.2 Cannot decode response\r\n334 \r\n501 5.5.2 Cannot decode response\r\n" },
	{ "unknown mechanism", "AUTH FOO\r\nAUTH\r\n", "504 5.5.4 Unrecognized authentication type\r\n501 5.5.4 Syntax: AUTH mechanism\r\n" },
	{ "the last word of the server is a challenge", "AUTH SCRAM-SHA-256 eA==\r\n\r\nAUTH PLAIN\r\n",
	  "334 dj1wcm9vZg==\r\n235 2.7.0 Authentication successful\r\n503 5.5.1 Error: already authenticated\r\n" },
	{ "a client that does not like it", "AUTH SCRAM-SHA-256 eA==\r\n*\r\n" MAIL,
	  "334 dj1wcm9vZg==\r\n501 5.7.0 Authentication aborted\r\n530 5.7.0 Authentication required\r\n" },
	{ "MAIL before AUTH", MAIL, "530 5.7.0 Authentication required\r\n" },
	{ "R78 users may relay, but unknown users of ours are unknown (R20)",
	  "AUTH PLAIN AGphY2tAZXhhbXBsZS5jb20Ac2VjcmV0\r\n" MAIL "RCPT TO:<x@y.org>\r\nRCPT TO:<joe@example.com>\r\nAUTH PLAIN\r\n",
	  "235 2.7.0 Authentication successful\r\n" MAIL_OK RCPT_OK
	  "550 5.1.1 <joe@example.com>: Recipient address rejected: User unknown in virtual mailbox table\r\n"
	  "503 5.5.1 Error: MAIL transaction in progress\r\n" },
	{ "R266 a user sends as their own addresses", LOGGED_IN "MAIL FROM:<others@example.com>\r\nRCPT TO:<x@y.org>\r\nRCPT TO:<y@y.org>\r\nDATA\r\n",
	  WELCOME MAIL_OK "553 5.7.1 <others@example.com>: Sender address rejected: not owned by user jack@example.com\r\n"
	  "553 5.7.1 <others@example.com>: Sender address rejected: not owned by user jack@example.com\r\n"
	  "554 5.5.1 Error: no valid recipients\r\n" },
	{ "an address of nobody's", LOGGED_IN "MAIL FROM:<nobodys@example.com>\r\nRCPT TO:<x@y.org>\r\n",
	  WELCOME MAIL_OK "553 5.7.1 <nobodys@example.com>: Sender address rejected: not owned by user jack@example.com\r\n" },
	{ "when it cannot be told", LOGGED_IN "MAIL FROM:<later@example.com>\r\nRCPT TO:<x@y.org>\r\n",
	  WELCOME MAIL_OK "451 4.3.0 <later@example.com>: Temporary lookup failure\r\n" },
	{ "no sender is everybody's", LOGGED_IN "MAIL FROM:<>\r\nRCPT TO:<x@y.org>\r\n", WELCOME MAIL_OK RCPT_OK },
};
/* clang-format on */

static void
test_auth(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(auths); i++)
		for (size_t piece = 0; piece < 4; piece++) {
			struct kit k;

			kit_open(&k, KIND_SUBMISSIONS,
			         "smtpd_discard_ehlo_keywords = DSN, futurerelease, deliverby, mt-priority limits binarymime smtputf8\n");
			assert_true(k.secure);
			kit_secured(&k);
			kit_say(&k, BYTES("EHLO c\r\n"), piece);
			SAME(auths[i].why, buffer_bytes(&k.out),
			     BYTES(HI
			           EHLO_HEAD "250-AUTH PLAIN LOGIN SCRAM-SHA-256\r\n250-ENHANCEDSTATUSCODES\r\n"
			           "250-8BITMIME\r\n250-CHUNKING\r\n250 REQUIRETLS\r\n"));
			buffer_reset(&k.out);
			kit_say(&k, bytes_of(auths[i].in), piece);
			SAME(auths[i].why, buffer_bytes(&k.out), bytes_of(auths[i].out));
			kit_close(&k);
		}
}

/* rfc4954:4: a line of 12288 bytes is taken, a longer one is refused. */
static void
test_auth_line_length(void **state)
{
	struct buffer line = { 0 };
	struct kit    k;

	(void)state;
	kit_open(&k, KIND_SUBMISSIONS, "");
	kit_secured(&k);
	kit_say(&k, BYTES("EHLO c\r\nAUTH PLAIN\r\n"), 0);
	buffer_reset(&k.out);
	for (int i = 0; i < 12289; i++)
		buffer_add_char(&line, 'A');
	buffer_add_string(&line, "\r\nNOOP\r\n");
	kit_say(&k, buffer_bytes(&line), 1000);
	SAME("rfc4954:4", buffer_bytes(&k.out),
	     BYTES("500 5.5.6 Authentication exchange line is too long\r\n" OK));
	assert_int_equal(k.drops, 1);
	kit_close(&k);
	buffer_free(&line);
}

/* rfc4954:4: so may the command be that brings the first answer along; no other may. */
static void
test_auth_command_length(void **state)
{
	static const struct {
		const char *why, *verb;
		size_t      length;
		const char *out;
	} rows[] = {
		{ "all that a line may have", "auth plain ", 12288, "501 5.5.2 Cannot decode response\r\n" OK },
		{ "and one more", "AUTH PLAIN ", 12289, "500 5.5.2 Error: line too long\r\n" OK },
		{ "not AUTH", "AUTHX PLAIN ", 2049, "500 5.5.2 Error: line too long\r\n" OK },
		{ "another verb", "NOOP ", 2049, "500 5.5.2 Error: line too long\r\n" OK },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (size_t piece = 0; piece <= 1000; piece += 500) {
			struct buffer line = { 0 };
			struct kit    k;

			kit_open(&k, KIND_SUBMISSIONS, "");
			kit_secured(&k);
			kit_say(&k, BYTES("EHLO c\r\n"), 0);
			buffer_reset(&k.out);
			buffer_add_string(&line, rows[i].verb);
			while (line.len < rows[i].length)
				buffer_add_char(&line, 'A');
			buffer_add_string(&line, "\r\nNOOP\r\n");
			kit_say(&k, buffer_bytes(&line), piece);
			SAME(rows[i].why, buffer_bytes(&k.out), bytes_of(rows[i].out));
			kit_close(&k);
			buffer_free(&line);
		}
}

static void
submit(struct kit *k, const char *letter)
{
	kit_open(k, KIND_SUBMISSIONS, "");
	kit_secured(k);
	kit_say(k,
	        BYTES("EHLO c.org\r\nAUTH PLAIN AGphY2tAZXhhbXBsZS5jb20Ac2VjcmV0\r\nMAIL FROM:<jack@example.com>\r\n" RCPT
	              "DATA\r\n"),
	        0);
	kit_say(k, bytes_of(letter), 0);
}

/* rfc5321:4.4, rfc3848, rfc6409:8 */
static void
test_trace_and_missing_fields(void **state)
{
	struct kit k;

	(void)state;
	clock_pretend(1795311319); /* 2026-11-22 01:35:19 UTC */
	submit(&k, "Bcc: x@y.org\r\nSubject: s\r\n\r\nbody\r\n.\r\n");
	SAME("Bcc is gone", buffer_bytes(&k.stored), BYTES("Subject: s\r\n\r\nbody\r\n"));
	SAME("all is added", buffer_bytes(&k.prefix),
	     BYTES("Received: from c.org (unknown [192.0.2.7])\r\n"
	           "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))\r\n\t(No client certificate requested)\r\n\t(Authenticated sender: jack@example.com)\r\n"
	           "\tby mail.example.com (Mansio) with ESMTPSA id 1A2B\r\n\tfor <jill@example.com>; Sun, 22 Nov 2026 01:35:19 +0000 (UTC)\r\n"
	           "From: <jack@example.com>\r\nDate: Sun, 22 Nov 2026 01:35:19 +0000 (UTC)\r\nMessage-ID: <1795311319.1A2B@mail.example.com>\r\n"));
	kit_close(&k);
	submit(&k, "From: a@b\r\nDate: x\r\nMessage-Id: <y@z>\r\n\r\n.\r\n");
	assert_true(bytes_search(buffer_bytes(&k.prefix), BYTES("\r\nDate:")) < 0);
	kit_close(&k);
	kit_open(&k, KIND_SMTP, "");
	kit_say(&k,
	        BYTES("HELO c.org\r\n" MAIL RCPT "RCPT TO:<jack@example.com>\r\nDATA\r\n\r\n.\r\n"),
	        0);
	SAME("no For with two, nothing added to what is relayed", buffer_bytes(&k.prefix),
	     BYTES("Received: from c.org (unknown [192.0.2.7])\r\n"
	           "\tby mail.example.com (Mansio) with SMTP id 1A2B; Sun, 22 Nov 2026 01:35:19 +0000 (UTC)\r\n"));
	assert_string_equal(k.recipients, "jill@example.com jack@example.com ");
	kit_close(&k);
	clock_pretend(0);
}

/* What the disk, the verifier and memory can say. */
static void
test_house_says_no(void **state)
{
	/* clang-format off */
	static const struct { const char *why; enum room_answer room; enum verdict verdict; int safe_why; const char *out; } rows[] = {
		{ "disk full before", ROOM_FULL, VERDICT_ACCEPT, 0, "452 4.3.1 Insufficient system storage\r\n" },
		{ "refused", ROOM_YES, VERDICT_REFUSE, 0, MAIL_OK RCPT_OK GO "550 5.7.1 Error: no\r\n" },
		{ "later", ROOM_YES, VERDICT_LATER, 0, MAIL_OK RCPT_OK GO "451 4.3.0 Error: the letter could not be looked at now\r\n" },
		{ "disk full at the end", ROOM_YES, VERDICT_ACCEPT, ENOSPC, MAIL_OK RCPT_OK GO "452 4.3.1 Insufficient system storage\r\n" },
		{ "sync failed", ROOM_YES, VERDICT_ACCEPT, EIO, MAIL_OK RCPT_OK GO "451 4.3.0 Error: queue file write error\r\n" },
		{ "broken for now", ROOM_LATER, VERDICT_ACCEPT, 0, MAIL_OK RCPT_OK "451 4.3.0 Error: queue file write error\r\n" },
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct kit k;

		kit_open(&k, KIND_SMTP, "");
		k.room = rows[i].room;
		k.verdict = rows[i].verdict;
		k.safe_why = rows[i].safe_why;
		buffer_reset(&k.out);
		kit_say(&k, BYTES(MAIL), 0);
		if (rows[i].room != ROOM_FULL)
			kit_say(&k, BYTES(RCPT "DATA\r\n"), 0);
		if (rows[i].room == ROOM_YES)
			kit_say(&k, BYTES("\r\n.\r\n"), 0);
		SAME(rows[i].why, buffer_bytes(&k.out), bytes_of(rows[i].out));
		kit_close(&k);
	}
}

static void
test_room_is_waited_for(void **state)
{
	struct kit k;

	(void)state;
	kit_open(&k, KIND_SMTP, "");
	k.room = ROOM_WAIT;
	kit_say(&k, BYTES(MAIL RCPT "DATA\r\n\r\nx\r\n.\r\n"), 0);
	SAME("waits", buffer_bytes(&k.out), BYTES(HI MAIL_OK RCPT_OK));
	session_ask_room(k.session);
	SAME("still", buffer_bytes(&k.out), BYTES(HI MAIL_OK RCPT_OK));
	k.room = ROOM_YES;
	session_ask_room(k.session);
	SAME("goes", buffer_bytes(&k.out), BYTES(HI MAIL_OK RCPT_OK GO QUEUED));
	kit_close(&k);
}

/* Past 256 KiB a letter flows to the disk; nothing of it may be lost or doubled. */
static void
test_large_letters_stream(void **state)
{
	struct buffer letter = { 0 };
	struct kit    k;

	(void)state;
	buffer_add_string(&letter, "A: b\r\n\r\n");
	for (int i = 0; letter.len < 1000000; i++)
		buffer_printf(&letter, "line %d\r\n", i);
	for (int full = 0; full < 2; full++) {
		kit_open(&k, KIND_SMTP, "");
		k.stream_why = full ? ENOSPC : 0;
		kit_say(&k, BYTES(MAIL RCPT "DATA\r\n"), 0);
		kit_say(&k, buffer_bytes(&letter), 5000);
		assert_true(full || letters_in_hand() > 0);
		kit_say(&k, BYTES(".\r\n"), 0);
		SAME("reply", buffer_bytes(&k.out),
		     full ? BYTES(HI MAIL_OK RCPT_OK GO "452 4.3.1 Insufficient system storage\r\n")
		          : BYTES(HI MAIL_OK RCPT_OK GO QUEUED));
		if (!full)
			SAME("content", buffer_bytes(&k.stored), buffer_bytes(&letter));
		assert_int_equal(letters_in_hand(), 0);
		kit_close(&k);
	}
	buffer_free(&letter);
}

static void
test_patience(void **state)
{
	struct kit k;
	int64_t    now;

	(void)state;
	clock_pretend(1000000);
	kit_open(&k, KIND_SMTP, "smtpd_timeout = 10s\nsmtpd_min_data_rate = 100\n");
	now = clock_patient_ms();
	session_tick(k.session, now + 9000);
	assert_false(k.over);
	kit_say(&k, BYTES("NOO"), 0);
	session_tick(k.session, now + 11000);
	assert_true(k.over);
	SAME("a command typed too slowly", buffer_bytes(&k.out),
	     BYTES(HI "421 4.4.2 mail.example.com Error: timeout exceeded\r\n"));
	kit_close(&k);

	kit_open(&k, KIND_SMTP, "smtpd_timeout = 10s\nsmtpd_min_data_rate = 100\n");
	kit_say(&k, BYTES(MAIL RCPT "DATA\r\n"), 0);
	clock_pretend(1000009);
	kit_say(&k, BYTES("A: b\r\n\r\n"), 0);
	session_tick(k.session, now + 10050);
	assert_false(k.over); /* 8 bytes at 100 a second give 80 ms more */
	session_tick(k.session, now + 10090);
	assert_true(k.over);
	kit_close(&k);
	clock_pretend(0);
}

/* A letter has its time, in however small chunks it comes: of each second 1 byte at 100 a second is worth 10 ms. */
static void
test_patience_with_chunks(void **state)
{
	/* clang-format off */
	static const struct { const char *why, *settings; int chunks; bool over; } rows[] = {
		{ "some that wait a little", "smtpd_min_data_rate = 100\n",                                    11, false },
		{ "more of them",            "smtpd_min_data_rate = 100\n",                                    12, true  },
		{ "any rate will do",        "smtpd_min_data_rate = 0\n",                                      12, false },
		{ "each piece has its time", "smtpd_min_data_rate = 100\nsmtpd_per_request_deadline = no\n",   12, false },
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buffer settings = { 0 };
		struct kit    k;

		clock_pretend(1000000);
		buffer_printf(&settings, "smtpd_timeout = 10s\n%s%c", rows[i].settings, '\0');
		kit_open(&k, KIND_SMTP, settings.at);
		kit_say(&k, BYTES(MAIL RCPT), 0);
		for (int n = 1; n <= rows[i].chunks && !k.over; n++) {
			clock_pretend(1000000 + n);
			kit_say(&k, BYTES("BDAT 1\r\nx"), 0);
			session_tick(k.session, clock_patient_ms());
		}
		HOLDS(rows[i].why, k.over == rows[i].over);
		kit_close(&k);
		buffer_free(&settings);
		clock_pretend(0);
	}
}

static void
test_the_server_stops(void **state)
{
	struct kit k;

	(void)state;
	kit_open(&k, KIND_SMTP, "");
	session_leave(k.session);
	SAME("idle", buffer_bytes(&k.out),
	     BYTES(HI "421 4.3.2 mail.example.com Service shutting down\r\n"));
	kit_close(&k);
	kit_open(&k, KIND_SMTP, "");
	kit_say(&k, BYTES(MAIL), 0);
	session_leave(k.session);
	SAME("before DATA", buffer_bytes(&k.out),
	     BYTES(HI MAIL_OK "421 4.3.2 mail.example.com Service shutting down\r\n"));
	kit_close(&k);
	kit_open(&k, KIND_SMTP, "");
	kit_say(&k, BYTES(MAIL RCPT "DATA\r\n"), 0);
	session_leave(k.session);
	kit_say(&k, BYTES("\r\n.\r\nNOOP\r\n"), 0);
	SAME("a letter is finished", buffer_bytes(&k.out),
	     BYTES(HI MAIL_OK RCPT_OK GO QUEUED
	           "421 4.3.2 mail.example.com Service shutting down\r\n"));
	kit_close(&k);
}

/* The bytes of chunks: text is made clean as DATA's is, but for dots; a binary body is as it came. */
static void
test_chunks(void **state)
{
	/* clang-format off */
	const struct { const char *why, *body; struct bytes sent, kept; } rows[] = {
		{ "dots are no dots", "", BYTES("BDAT 13\r\nA: b\r\n\r\n.\r\n..BDAT 0 LAST\r\n"), BYTES("A: b\r\n\r\n.\r\n..\r\n") },
		{ "a line end between two chunks", "", BYTES("BDAT 7\r\nA: b\r\n\rBDAT 3 LAST\r\n\nx\r"), BYTES("A: b\r\n\r\nx \r\n") },
		{ "a bare LF is a line end", "", BYTES("BDAT 6 LAST\r\n\r\na\nb\r"), BYTES("\r\na\r\nb \r\n") },
		{ "BINARYMIME: nothing is changed", " BODY=BINARYMIME", BYTES("BDAT 8\r\nA: b\r\n\r\nBDAT 9\r\na\nb\rc\0\xff\r\nBDAT 2 LAST\r\n.\r"), BYTES("A: b\r\n\r\na\nb\rc\0\xff\r\n.\r") },
		{ "but for the lines of its header", " BODY=BINARYMIME", BYTES("BDAT 8 LAST\r\nA: b\n\n\n\r"), BYTES("A: b\r\n\r\n\n\r") },
		{ "nothing at all", "", BYTES("BDAT 0 LAST\r\n"), BYTES("") },
	};
	/* clang-format on */
	static const size_t pieces[] = { 0, 1, 2, 3, 5, 7 };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (size_t p = 0; p < COUNT(pieces); p++) {
			struct buffer said = { 0 };
			struct kit    k;

			kit_open(&k, KIND_SMTP, "");
			buffer_printf(&said, "MAIL FROM:<a@b.org>%s\r\n" RCPT, rows[i].body);
			buffer_add(&said, rows[i].sent);
			buffer_add_string(&said, "NOOP\r\n");
			kit_say(&k, buffer_bytes(&said), pieces[p]);
			HOLDS(rows[i].why, k.letters == 1);
			SAME(rows[i].why, buffer_bytes(&k.stored), rows[i].kept);
			HOLDS(rows[i].why, bytes_ends_nocase(buffer_bytes(&k.out), BYTES(QUEUED OK)));
			buffer_free(&said);
			kit_close(&k);
		}
}

/* Large letters flow to the disk, whatever the size of their chunks, and a disk that is full is told of. */
static void
test_large_chunks(void **state)
{
	static const size_t sizes[] = { 1000, 4096, 70000, 900000 };

	(void)state;
	for (int full = 0; full < 2; full++)
		for (size_t i = 0; i < COUNT(sizes); i++) {
			struct buffer said = { 0 }, want = { 0 };
			struct kit    k;

			kit_open(&k, KIND_SMTP, "smtpd_min_data_rate = 0\n");
			k.stream_why = full ? ENOSPC : 0;
			buffer_add_string(&said, MAIL RCPT "BDAT 8\r\nA: b\r\n\r\n");
			buffer_add_string(&want, "A: b\r\n\r\n");
			for (size_t n = 0; n < 900000 / sizes[i]; n++) {
				buffer_printf(&said, "BDAT %zu\r\n", sizes[i]);
				for (size_t c = 0; c < sizes[i] / 10; c++)
					buffer_add_string(&said, "12345678\r\n");
				for (size_t c = 0; c < sizes[i] / 10 * 10; c++)
					buffer_add_char(&want, "12345678\r\n"[c % 10]);
				for (size_t c = 0; c < sizes[i] % 10; c++) {
					buffer_add_char(&said, 'x');
					buffer_add_char(&want, 'x');
				}
			}
			buffer_add_string(&said, "BDAT 2 LAST\r\n\r\nNOOP\r\n");
			buffer_add_string(&want, "\r\n");
			kit_say(&k, buffer_bytes(&said), 0);
			if (full) {
				HOLDS("told", k.letters == 0 && bytes_search(buffer_bytes(&k.out), BYTES("452 4.3.1")) > 0);
				HOLDS("its chunks are forgotten", bytes_ends_nocase(buffer_bytes(&k.out), BYTES("503 5.5.1 Error: need MAIL command\r\n" OK)) ||
				                                          bytes_ends_nocase(buffer_bytes(&k.out), BYTES("421 4.7.0 mail.example.com Error: too many errors\r\n")));
			} else {
				HOLDS("one letter", k.letters == 1);
				HOLDS("whole", bytes_equal(buffer_bytes(&k.stored), buffer_bytes(&want)));
			}
			buffer_free(&said);
			buffer_free(&want);
			kit_close(&k);
		}
}

/* The name is awaited after the greeting and the first command, and stands in the trace. */
static void
test_names(void **state)
{
	static const struct {
		const char *why;
		enum named how;
		const char *name, *reverse, *trace;
	} names[] = {
		{ "confirmed", NAMED, "c.example.org", "c.example.org", "(c.example.org [192.0.2.7])" },
		{ "somebody else's", NAMED_FOREIGN, "", "c.example.org", "(unknown [192.0.2.7])" },
		{ "not to be known", NAMED_LATER, "", "", "(unknown [192.0.2.7])" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		struct kit k;

		kit_open(&k, KIND_SMTP, "");
		k.names = true;
		session_meet(k.session);
		buffer_add(&k.unread, BYTES("EHLO c.org\r\n" MAIL RCPT "DATA\r\nA: b\r\n\r\nx\r\n.\r\n"));
		kit_feed(&k);
		SAME(names[i].why, buffer_bytes(&k.out), BYTES(HI EHLO));
		session_named(k.session, names[i].how, bytes_of(names[i].name), bytes_of(names[i].reverse));
		SAME(names[i].why, buffer_bytes(&k.out), BYTES(HI EHLO MAIL_OK RCPT_OK GO QUEUED));
		HOLDS(names[i].why, bytes_search(buffer_bytes(&k.prefix), bytes_of(names[i].trace)) > 0);
		session_named(k.session, NAMED, BYTES("late.example.org"), BYTES("late.example.org"));
		kit_close(&k);
	}
}

UNIT(test_chunks, test_large_chunks, test_names, test_dialogues_for_every_split, test_pipelined_commands_wait_for_answers,
     test_starttls_forgets_all, test_auth, test_auth_line_length, test_auth_command_length, test_trace_and_missing_fields,
     test_house_says_no, test_room_is_waited_for, test_large_letters_stream, test_patience,
     test_patience_with_chunks, test_the_server_stops)
