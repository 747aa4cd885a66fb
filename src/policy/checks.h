/*
 * checks -- header_checks, body_checks and their like: what patterns say about a letter's fields and lines
 *
 * From:     role/verifier, before a letter is taken
 * To:       role/receiver-checks.c, which does what they say
 * Touches:  nothing; tables are asked through struct checks_needs
 *
 * checks_run()  goes through our own trace field, then the letter (message/inspect.h), asks for each field and line
 *     the list it belongs to, and obeys the answers (header_checks(5)): REJECT, DISCARD, HOLD, FILTER, REDIRECT, BCC, PREPEND,
 *     REPLACE, IGNORE, STRIP, WARN, INFO, PASS, DUNNO.  After REJECT, DISCARD, REDIRECT and PASS nothing more is looked up.
 *     A table that cannot tell now puts the letter off, and ends it.  All it says lives in `life`.
 *     With `waits` what it says is void: it is run again when the answers are there (policy/checks-elsewhere.h).
 * checks_wanted()  whether any list or rule is set; if not, nothing needs to be run.
 * checks_pack(), checks_unpack()  what was said, as bytes and back; false when broken.
 */
#ifndef POLICY_CHECKS_H
#define POLICY_CHECKS_H

#include "base/setting.h"
#include "message/edits.h"

enum check_list { CHECK_HEADER, CHECK_MIME, CHECK_NESTED, CHECK_BODY, CHECK_LISTS };
struct checks_settings {
	struct setting_list list[CHECK_LISTS];
	int64_t body_most, boundary_most, nest_most, line_most;
	bool    strict, strict_body, strict_header, strict_encoding, no_mime;
};
extern const struct setting_table checks_setting_table;

/* WAIT: the table is elsewhere, and its answer is not here yet; ENOUGH: the same, and no more is to be asked for now. */
enum check_answer { CHECK_SAYS, CHECK_NOTHING, CHECK_LATER, CHECK_WAIT, CHECK_ENOUGH };
struct checks_needs {
	enum check_answer (*find)(void *ctx, const char *table, struct bytes key, struct arena *, struct bytes *value);
	void *ctx;
};
/* For the log: "reject: header Subject: ..." and, behind what the receiver knows, ": text". */
struct check_note { struct bytes what, text; };
enum checks_verdict { CHECKS_PASS, CHECKS_REFUSE, CHECKS_LATER };
enum { CHECK_NOTES_MOST = 200, CHECK_COPIES_MOST = 50 };
struct checks_said {
	uint8_t verdict;               /* enum checks_verdict                       */
	bool    discard;
	bool    waits;                 /* tables that are elsewhere are to be asked first: never packed */
	struct bytes reply;            /* "550 5.7.1 text"                          */
	struct bytes by;               /* the setting that says so                  */
	struct bytes hold, filter, redirect;
	struct bytes *copy; uint32_t copies;
	struct check_note *note; uint32_t notes;
	bool    traced;                /* `trace` stands instead of our trace field */
	struct bytes trace;
	struct edits edits;            /* of the content                            */
};
/* What is wrong with what a line of such a table says, and what comes of it; NULL: it can be obeyed.  `header`: it is asked for fields. */
const char *checks_action_fault(struct bytes value, bool header, struct arena *);
bool checks_wanted(const struct checks_settings *);
void checks_run(const struct checks_settings *, const struct checks_needs *, struct bytes trace, struct bytes content,
                struct arena *life, struct checks_said *);
void checks_pack(const struct checks_said *, struct buffer *out);
bool checks_unpack(struct bytes packed, struct arena *, struct checks_said *) __attribute__((warn_unused_result));

#endif
