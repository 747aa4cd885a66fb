/* Before the greeting, and what becomes of those who err often, or are too many. */
#include "unit.h"

#include "base/clock.h"
#include "policy/rules.h"
#include "kit.h"

#define SCREEN "postscreen_enable = yes\n"
#define TEASER "220-mail.example.com ESMTP Mansio\r\n"
#define HI "220 mail.example.com ESMTP Mansio\r\n"
#define HELO_OK "250 mail.example.com\r\n"
#define MAIL "MAIL FROM:<a@b.org>\r\n"
#define RCPT "RCPT TO:<jill@example.com>\r\n"
#define MAIL_OK "250 2.1.0 Ok\r\n"
#define RCPT_OK "250 2.1.5 Ok\r\n"

/* clang-format off */
static const struct screen_case {
	const char *why, *cf, *early, *late, *out;
	int  passes;
	bool over;
} cases[] = {
	{ "who waits is greeted and remembered", SCREEN, NULL, "HELO c\r\n", TEASER HI HELO_OK, 1, false },
	{ "who does not is told of", SCREEN, "HELO c\r\n", MAIL RCPT, TEASER HI HELO_OK MAIL_OK RCPT_OK, 0, false },
	{ "refused every recipient", SCREEN "postscreen_greet_action = enforce\n", "HELO c\r\n", MAIL RCPT,
	  TEASER HI HELO_OK MAIL_OK "550 5.5.1 Protocol error\r\n", 0, false },
	{ "or sent away", SCREEN "postscreen_greet_action = drop\n", "HELO c\r\n", "", TEASER "521 5.5.1 Protocol error\r\n", 0, true },
	{ "without a first line", SCREEN "postscreen_greet_banner =\n", NULL, "HELO c\r\n", HI HELO_OK, 1, false },
	{ "networks that are known do not wait", SCREEN "postscreen_allow_list = 192.0.2.0/24\n", NULL, "HELO c\r\n", HI HELO_OK, 0, false },
	{ "nobody waits where it is not said", "", NULL, "HELO c\r\n", HI HELO_OK, 0, false },
	{ "EHLO must be waited for, too", SCREEN "postscreen_pipelining_enable = yes\n", NULL, "HELO c\r\n" MAIL RCPT,
	  TEASER HI HELO_OK MAIL_OK "550 5.5.1 Protocol error\r\n", 0, false },
	{ "or else", SCREEN "postscreen_pipelining_enable = yes\npostscreen_pipelining_action = drop\n", NULL, "HELO c\r\n" MAIL,
	  TEASER HI "521 5.5.1 Protocol error\r\n", 0, true },
	{ "rfc2920:3.1 HELO is the last of a group", "smtpd_forbid_unauth_pipelining = yes\n", NULL, "HELO c\r\n" MAIL,
	  HI "554 5.5.0 Error: SMTP protocol synchronization\r\n", 0, true },
	{ "rfc2920:3.1 and who has not said EHLO has no groups", "smtpd_forbid_unauth_pipelining = yes\n", NULL, MAIL RCPT,
	  HI "554 5.5.0 Error: SMTP protocol synchronization\r\n", 0, true },
	{ "a stranger's connection has so many letters", "smtpd_session_message_limit = 1\n", NULL, MAIL "RSET\r\n" MAIL,
	  HI MAIL_OK "250 2.0.0 Ok\r\n421 4.7.0 mail.example.com Error: too many messages in one connection\r\n", 0, true },
};
/* clang-format on */

static void
let_rest(struct kit *k)
{
	if (k->rests && !k->over) {
		k->rests = false;
		session_rested(k->session);
	}
}

static void
test_who_speaks_first(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct screen_case *c = &cases[i];
		struct kit                k;

		kit_open(&k, KIND_SMTP, c->cf);
		HOLDS(c->why, k.session != NULL);
		session_meet(k.session);
		if (c->early != NULL) {
			buffer_add_string(&k.unread, c->early);
			kit_feed(&k);
		}
		let_rest(&k);
		kit_say(&k, bytes_of(c->late), 0);
		SAME(c->why, buffer_bytes(&k.out), bytes_of(c->out));
		HOLDS(c->why, k.passes == c->passes && k.over == c->over);
		kit_close(&k);
	}
}

static void
test_who_has_passed_is_greeted_at_once(void **state)
{
	struct kit k;

	(void)state;
	kit_open(&k, KIND_SMTP, SCREEN);
	k.passed = true;
	session_meet(k.session);
	SAME("greeted", buffer_bytes(&k.out), BYTES(HI));
	HOLDS("no rest", !k.rests);
	kit_close(&k);
}

static void
test_each_error_costs_more(void **state)
{
	struct kit k;

	(void)state;
	kit_open(&k, KIND_SMTP, "smtpd_soft_error_limit = 1\n");
	kit_say(&k, BYTES("FOO\r\nFOO\r\n"), 0);
	assert_int_equal(k.rest_ms, 1000);
	kit_say(&k, BYTES("FOO\r\n"), 0);
	assert_int_equal(k.rest_ms, 2000);
	kit_say(&k, BYTES("FOO\r\n"), 0);
	assert_int_equal(k.rest_ms, 3000);
	kit_close(&k);
}

/* STRESS_README: less is borne of everybody when there are too many. */
static void
test_stress(void **state)
{
	struct kit k;
	int64_t    now = 1000000;

	(void)state;
	clock_pretend(now * 1000000);
	kit_open(&k, KIND_SMTP, "");
	now = clock_patient_ms();
	session_tick(k.session, now + 11000);
	HOLDS("calm", !k.over);
	receiver_mood(STRESS);
	session_tick(k.session, now + 9000);
	HOLDS("ten seconds", !k.over);
	session_tick(k.session, now + 11000);
	HOLDS("are over", k.over);
	kit_close(&k);
	kit_open(&k, KIND_SMTP, "");
	kit_say(&k, BYTES("FOO\r\n"), 0);
	HOLDS("one error is too many", k.over);
	receiver_mood(CALM);
	kit_close(&k);
	clock_pretend(0);
}

UNIT(test_who_speaks_first, test_who_has_passed_is_greeted_at_once, test_each_error_costs_more, test_stress)
