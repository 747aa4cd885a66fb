/* IMAP and POP3 before authentication: dialogues, whole and byte by byte. */
#include "unit.h"

#include <signal.h>
#include <stdlib.h>

#include "access/login-kit.h"
#include "base/base64.h"

#define IMAP_HELLO \
	"* OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR ENABLE ID IDLE AUTH=PLAIN AUTH=LOGIN AUTH=SCRAM-SHA-256] Mansio ready.\r\n"
#define IMAP_SHY \
	"* OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR ENABLE ID IDLE AUTH=SCRAM-SHA-256 LOGINDISABLED] Mansio ready.\r\n"
#define POP3_HELLO "+OK Mansio ready.\r\n"
#define TOO_LONG "* BYE Line or literal is too long.\r\n"
#define FAILED " NO [AUTHENTICATIONFAILED] Authentication failed.\r\n"
#define PRIVACY \
	" NO [PRIVACYREQUIRED] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.\r\n"

struct dialogue {
	const char *why;
	bool        shy;
	const char *said, *heard;
};

/* clang-format off */
static const struct dialogue imap[] = {
	{ "greeting", false, "", IMAP_HELLO },
	{ "greeting where passwords may not cross", true, "", IMAP_SHY },
	{ "capability", false, "a CAPABILITY\r\n", IMAP_HELLO
	  "* CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR ENABLE ID IDLE AUTH=PLAIN AUTH=LOGIN AUTH=SCRAM-SHA-256\r\n"
	  "a OK Pre-login capabilities listed, post-login capabilities have more.\r\n" },
	{ "case and a bare LF mean nothing", false, "a nOoP\nb noop\r\n", IMAP_HELLO "a OK NOOP completed.\r\nb OK NOOP completed.\r\n" },
	{ "rfc3501:6.2.3 LOGIN", false, "a LOGIN jack s3cret\r\n", IMAP_HELLO "[in user=jack method=LOGIN tag=a]" },
	{ "LOGIN quoted", false, "A1 login \"jack\" \"s3cr\\et\"\r\n", IMAP_HELLO "[in user=jack method=LOGIN tag=A1]" },
	{ "LOGIN with literals", false, "a LOGIN {4}\r\njack {6}\r\ns3cret\r\n", IMAP_HELLO "+ OK\r\n+ OK\r\n[in user=jack method=LOGIN tag=a]" },
	{ "LOGIN with literals nobody waits for (rfc7888)", false, "a LOGIN {4+}\r\njack {6+}\r\ns3cret\r\n", IMAP_HELLO "[in user=jack method=LOGIN tag=a]" },
	{ "a literal with a line in it", false, "a LOGIN {6+}\r\nja\r\nck x\r\n", IMAP_HELLO "a" FAILED },
	{ "an empty literal", false, "a LOGIN {0+}\r\n x\r\n", IMAP_HELLO "a" FAILED },
	{ "a wrong password, then the right one", false, "a LOGIN jack x\r\nb LOGIN jack s3cret\r\n", IMAP_HELLO "a" FAILED "[in user=jack method=LOGIN tag=b]" },
	{ "three wrong ones", false, "a LOGIN jack x\r\nb LOGIN jack y\r\nc LOGIN jack z\r\nd LOGIN jack s3cret\r\n", IMAP_HELLO
	  "a" FAILED "b" FAILED "c" FAILED "* BYE Too many failed logins.\r\n" },
	{ "put off", false, "a LOGIN late x\r\n", IMAP_HELLO "a NO [UNAVAILABLE] Temporary authentication failure, try again later.\r\n" },
	{ "disabled", false, "a LOGIN off x\r\n", IMAP_HELLO "a NO [CONTACTADMIN] This account is disabled.\r\n" },
	{ "LOGIN where passwords may not cross", true, "a LOGIN jack s3cret\r\n", IMAP_SHY "a" PRIVACY },
	{ "PLAIN where passwords may not cross", true, "a AUTHENTICATE PLAIN AGphY2sAczNjcmV0\r\n", IMAP_SHY "a" PRIVACY },
	{ "rfc4959 an initial response", false, "a AUTHENTICATE PLAIN AGphY2sAczNjcmV0\r\n", IMAP_HELLO "[in user=jack method=PLAIN tag=a]" },
	{ "without", false, "a AUTHENTICATE PLAIN\r\nAGphY2sAczNjcmV0\r\n", IMAP_HELLO "+ \r\n[in user=jack method=PLAIN tag=a]" },
	{ "AUTHENTICATE LOGIN", false, "a AUTHENTICATE login\r\namFjaw==\r\nczNjcmV0\r\n", IMAP_HELLO "+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\n[in user=jack method=login tag=a]" },
	{ "an empty initial response", false, "a AUTHENTICATE PLAIN =\r\n", IMAP_HELLO "a BAD Invalid SASL message.\r\n" },
	{ "given up", false, "a AUTHENTICATE PLAIN\r\n*\r\nb NOOP\r\n", IMAP_HELLO "+ \r\na BAD Authentication aborted by client.\r\nb OK NOOP completed.\r\n" },
	{ "not base64", false, "a AUTHENTICATE PLAIN\r\n!!!\r\nb NOOP\r\n", IMAP_HELLO "+ \r\na BAD Invalid response to the challenge.\r\nb OK NOOP completed.\r\n" },
	{ "not base64 at once", false, "a AUTHENTICATE PLAIN !!!\r\n", IMAP_HELLO
	  "a BAD Error in IMAP command AUTHENTICATE: right would be AUTHENTICATE mechanism [base64].\r\n" },
	{ "a mechanism nobody has", false, "a AUTHENTICATE GSSAPI\r\n", IMAP_HELLO "a NO [CANNOT] Unsupported authentication mechanism.\r\n" },
	{ "a message that is no message", false, "a AUTHENTICATE PLAIN amFjaw==\r\n", IMAP_HELLO "a BAD Invalid SASL message.\r\n" },
	{ "logout", false, "a LOGOUT\r\nb NOOP\r\n", IMAP_HELLO "* BYE Logging out\r\na OK Logout completed.\r\n" },
	{ "rfc2971 ID, with and without", false, "a ID NIL\r\nb ID (\"name\" \"x\")\r\n", IMAP_HELLO
	  "* ID (\"name\" \"Mansio\")\r\na OK ID completed.\r\n* ID (\"name\" \"Mansio\")\r\nb OK ID completed.\r\n" },
	{ "three bad commands", false, "a FOO\r\nSELECT\r\nb LOGIN jack\r\nc NOOP\r\n", IMAP_HELLO
	  "a BAD Error in IMAP command: unknown, or not before logging in.\r\n"
	  "* BAD Error in IMAP command: a tag, a blank and a command are wanted.\r\n"
	  "b BAD Error in IMAP command LOGIN: right would be LOGIN user password.\r\n* BYE Too many invalid commands.\r\n" },
	{ "an empty line", false, "\r\n", IMAP_HELLO "* BAD Error in IMAP command: a tag, a blank and a command are wanted.\r\n" },
	{ "a plus is no tag", false, "+ NOOP\r\n", IMAP_HELLO "* BAD Error in IMAP command: a tag, a blank and a command are wanted.\r\n" },
	{ "arguments nobody wants", false, "a NOOP x\r\n", IMAP_HELLO "a BAD Error in IMAP command: no arguments are wanted.\r\n" },
	{ "STARTTLS without a certificate", false, "a STARTTLS\r\n", IMAP_HELLO "a BAD TLS is not available.\r\n" },
	{ "a literal that is too large", false, "a LOGIN {4097}\r\n", IMAP_HELLO TOO_LONG },
	{ "one nobody waits for", false, "a LOGIN {99999999+}\r\n", IMAP_HELLO TOO_LONG },
	{ "a number that is too large is no literal", false, "a LOGIN x {99999999999999999999999}\r\nb NOOP\r\n", IMAP_HELLO
	  "a BAD Error in IMAP command LOGIN: right would be LOGIN user password.\r\nb OK NOOP completed.\r\n" },
	{ "a mailbox is not to be had yet", false, "a SELECT INBOX\r\n", IMAP_HELLO "a BAD Error in IMAP command: unknown, or not before logging in.\r\n" },
};
/* clang-format on */

/* clang-format off */
static const struct dialogue pop3[] = {
	{ "greeting", false, "", POP3_HELLO },
	{ "rfc1939:7 USER and PASS", false, "USER jack\r\nPASS s3cret\r\n", POP3_HELLO "+OK\r\n[in user=jack method=PLAIN tag=]" },
	{ "case", false, "user jack\r\npass s3cret\r\n", POP3_HELLO "+OK\r\n[in user=jack method=PLAIN tag=]" },
	{ "wrong", false, "USER jack\r\nPASS x y z\r\nPASS s3cret\r\n", POP3_HELLO "+OK\r\n-ERR [AUTH] Authentication failed.\r\n-ERR No username given.\r\n" },
	{ "put off (rfc3206:4)", false, "USER late\r\nPASS x\r\n", POP3_HELLO "+OK\r\n-ERR [SYS/TEMP] Temporary authentication failure, try again later.\r\n" },
	{ "PASS first", false, "PASS x\r\n", POP3_HELLO "-ERR No username given.\r\n" },
	{ "nothing behind USER", false, "USER\r\n", POP3_HELLO "-ERR A user name is wanted.\r\n" },
	{ "nothing behind PASS", false, "USER jack\r\nPASS\r\n", POP3_HELLO "+OK\r\n-ERR A password is wanted.\r\n" },
	{ "where passwords may not cross", true, "USER jack\r\n", POP3_HELLO "-ERR [AUTH] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.\r\n" },
	{ "rfc2449 CAPA", false, "CAPA\r\n", POP3_HELLO
	  "+OK\r\nCAPA\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nUTF8\r\nLANG\r\nEXPIRE NEVER\r\nUSER\r\nSASL PLAIN LOGIN SCRAM-SHA-256\r\nIMPLEMENTATION Mansio\r\n.\r\n" },
	{ "CAPA where passwords may not cross", true, "CAPA\r\n", POP3_HELLO
	  "+OK\r\nCAPA\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nUTF8\r\nLANG\r\nEXPIRE NEVER\r\nSASL SCRAM-SHA-256\r\nIMPLEMENTATION Mansio\r\n.\r\n" },
	{ "rfc5034:4 AUTH alone lists", false, "AUTH\r\n", POP3_HELLO "+OK\r\nPLAIN\r\nLOGIN\r\nSCRAM-SHA-256\r\n.\r\n" },
	{ "rfc5034:6 an initial response", false, "AUTH PLAIN AGphY2sAczNjcmV0\r\n", POP3_HELLO "[in user=jack method=PLAIN tag=]" },
	{ "without", false, "AUTH PLAIN\r\nAGphY2sAczNjcmV0\r\n", POP3_HELLO "+ \r\n[in user=jack method=PLAIN tag=]" },
	{ "given up", false, "AUTH PLAIN\r\n*\r\nNOOP\r\n", POP3_HELLO "+ \r\n-ERR Authentication aborted by client.\r\n+OK\r\n" },
	{ "a mechanism nobody has", false, "AUTH GSSAPI\r\n", POP3_HELLO "-ERR Unsupported authentication mechanism.\r\n" },
	{ "not base64", false, "AUTH PLAIN !\r\n", POP3_HELLO "-ERR Invalid base64 data in initial response.\r\n" },
	{ "quit", false, "QUIT\r\nNOOP\r\n", POP3_HELLO "+OK Logging out\r\n" },
	{ "a brace is no literal here", false, "USER {3}\r\nNOOP\r\n", POP3_HELLO "+OK\r\n+OK\r\n" },
	{ "three bad commands", false, "STAT\r\n\r\nLIST 1\r\nNOOP\r\n", POP3_HELLO
	  "-ERR Unknown command, or not before logging in.\r\n-ERR Unknown command, or not before logging in.\r\n"
	  "-ERR Unknown command, or not before logging in.\r\n-ERR Too many invalid commands.\r\n" },
	{ "rfc6856:2.1 UTF8, which the keeper hears of", false, "UTF8\r\nUSER jack\r\nPASS s3cret\r\n", POP3_HELLO
	  "+OK UTF8 enabled\r\n+OK\r\n[in user=jack method=PLAIN tag=UTF8]" },
	{ "rfc6856:3.2 LANG", false, "LANG\r\nLANG *\r\nLANG EN-us\r\nLANG MUL\r\n", POP3_HELLO
	  "+OK Language listing follows:\r\nen English\r\n.\r\n+OK en This is English.\r\n+OK en This is English.\r\n"
	  "-ERR en This language is not spoken here.\r\n" },
	{ "STLS without a certificate", false, "STLS\r\n", POP3_HELLO "-ERR TLS is not available.\r\n" },
};
/* clang-format on */

static void
play(struct kit *k, const struct login_protocol *p, const struct dialogue *d, size_t piece)
{
	kit_begin(k, p, !d->shy, NULL);
	kit_say(k, bytes_of(d->said), piece);
	SAME(d->why, buffer_bytes(&k->out), bytes_of(d->heard));
	kit_end(k);
}

static void
test_imap(void **state)
{
	struct kit k = { 0 };
	(void)state;

	for (size_t piece = 0; piece < 4; piece++)
		for (size_t i = 0; i < COUNT(imap); i++)
			play(&k, &login_imap, &imap[i], piece);
	kit_close(&k);
}

static void
test_pop3(void **state)
{
	struct kit k = { 0 };
	(void)state;

	for (size_t piece = 0; piece < 4; piece++)
		for (size_t i = 0; i < COUNT(pop3); i++)
			play(&k, &login_pop3, &pop3[i], piece);
	kit_close(&k);
}

/* Every way to cut it in two. */
static void
test_every_split(void **state)
{
	struct kit k = { 0 };
	(void)state;

	for (size_t i = 0; i < COUNT(imap); i++)
		for (size_t at = 1; at < strlen(imap[i].said); at++) {
			kit_begin(&k, &login_imap, !imap[i].shy, NULL);
			kit_say(&k, bytes_cut(bytes_of(imap[i].said), 0, at), 0);
			kit_say(&k, bytes_cut(bytes_of(imap[i].said), at, SIZE_MAX), 0);
			SAME(imap[i].why, buffer_bytes(&k.out), bytes_of(imap[i].heard));
			kit_end(&k);
		}
	kit_close(&k);
}

static void
test_too_long(void **state)
{
	struct kit    k = { 0 };
	struct buffer said = { 0 };
	(void)state;

	for (int kind = 0; kind < 4; kind++) {
		buffer_reset(&said);
		if (kind == 2)
			buffer_add_string(&said, "a AUTHENTICATE PLAIN\r\n");
		else if (kind != 3)
			buffer_add_string(&said, "a LOGIN ");
		for (int i = 0; i < (kind == 3 ? 9000 : 13000); i++)
			buffer_add_char(&said, 'x');
		if (kind == 1)
			buffer_add_string(&said, "\r\n");
		for (size_t piece = 0; piece < 2000; piece += 999) {
			kit_begin(&k, kind == 3 ? &login_pop3 : &login_imap, true, NULL);
			kit_say(&k, buffer_bytes(&said), piece);
			HOLDS("its end",
			      k.login == NULL &&
			              bytes_search(buffer_bytes(&k.out),
			                           BYTES("Line or literal is too long.")) > 0);
			kit_end(&k);
		}
	}
	/* A response may be longer than a command. */
	buffer_reset(&said);
	buffer_add_string(&said, "a AUTHENTICATE PLAIN\r\n");
	for (int i = 0; i < 12000; i++)
		buffer_add_char(&said, 'A');
	buffer_add_string(&said, "\r\n");
	kit_begin(&k, &login_imap, true, NULL);
	kit_say(&k, buffer_bytes(&said), 0);
	HOLDS("a long response", k.login != NULL && bytes_search(buffer_bytes(&k.out),
	                                                         BYTES("a BAD Invalid SASL")) > 0);
	buffer_free(&said);
	kit_close(&k);
}

/* The client's last turn in SCRAM: it reads our proof, and says nothing or "*". */
static void
test_scram(void **state)
{
	/* clang-format off */
	static const struct { const char *why, *last, *heard; } rows[] = {
		{ "it believes us", "\r\n", "[in user=user method=SCRAM-SHA-256 tag=a]" },
		{ "it does not", "*\r\n", "a BAD Authentication aborted by client.\r\n" },
		{ "it says something else", "eA==\r\n", "a BAD Invalid response to the challenge.\r\n" },
	};
	/* clang-format on */
	struct kit k = { 0 };
	(void)state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		kit_begin(&k, &login_imap, false, NULL);
		buffer_reset(&k.out);
		kit_say(&k, BYTES("a AUTHENTICATE SCRAM-SHA-256 biwsbj11c2VyLHI9YWJj\r\n"),
		        0); /* n,,n=user,r=abc */
		HOLDS("a challenge",
		      bytes_starts(buffer_bytes(&k.out), BYTES("+ cj1hYm")) && k.login != NULL);
		/* We do not play the client's mathematics here (test-sasl does): the clerk says yes. */
		buffer_reset(&k.out);
		errand_clear(&k.errand);
		login_welcome(k.login, "user", 1, BYTES("pass"), BYTES("v=proof"));
		kit_turn(&k, 4);
		SAME(rows[i].why, buffer_bytes(&k.out), BYTES("+ dj1wcm9vZg==\r\n"));
		buffer_reset(&k.out);
		kit_say(&k, bytes_of(rows[i].last), 0);
		SAME(rows[i].why, buffer_bytes(&k.out), bytes_of(rows[i].heard));
		kit_end(&k);
	}
	kit_close(&k);
}

/* While the clerk thinks nothing else is done, and a client that goes away is forgotten. */
static void
test_the_clerk_is_slow(void **state)
{
	struct kit k = { 0 };
	(void)state;

	kit_begin(&k, &login_imap, true, NULL);
	k.dumb = true;
	buffer_reset(&k.out);
	kit_say(&k, BYTES("a LOGIN jack s3cret\r\nb NOOP\r\n"), 0);
	SAME("silence", buffer_bytes(&k.out), BYTES(""));
	close(k.fd);
	k.fd = -1;
	kit_turn(&k, 6);
	HOLDS("forgotten", k.login == NULL && k.forgotten == 1 && k.asked == 1);
	kit_end(&k);
	kit_begin(&k, &login_pop3, true, NULL);
	kit_say(&k, BYTES("AUTH LOGIN\r\n"), 0);
	close(k.fd);
	k.fd = -1;
	kit_turn(&k, 6);
	HOLDS("in the middle of an exchange", k.login == NULL && k.forgotten == 1);
	kit_end(&k);
	kit_begin(&k, &login_imap, true, NULL);
	k.dumb = true;
	kit_say(&k, BYTES("a LOGIN jack s3cret\r\n"), 0);
	buffer_reset(&k.out);
	login_close(&k.login, "Server is shutting down.");
	kit_turn(&k, 6);
	SAME("the house closes", buffer_bytes(&k.out), BYTES("* BYE Server is shutting down.\r\n"));
	HOLDS("forgotten", k.forgotten == 1);
	kit_close(&k);
}

UNIT(test_imap, test_pop3, test_every_split, test_too_long, test_scram, test_the_clerk_is_slow)
