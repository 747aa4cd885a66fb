/*
 * notice-template -- texts of notices as an administrator writes them, in the grammar of Postfix's bounce(5)
 *
 *     file     = *( *remark template )
 *     template = name "=" "<<" WORD  *header  [ empty ]  *line  WORD        the last WORD alone in its line
 *     name     = ( "failure" / "delay" / "success" / "verify" ) "_template" [ "." language ]
 *     header   = ( "Charset" / "From" / "Subject" / "Postmaster-Subject" ) ":" text
 *
 * The language behind the dot is ours ("failure_template.zh"); a template without one is for every language that has none
 * of its own.  In its lines $name stands for a setting; that is for the reader to put in.
 *
 * templates_read()  appends complaints ("bounce.cf:12: ...") to *errors and leaves out what they are about; false when
 *                   there was one.  Text comes out as UTF-8, with the line ends of letters.
 * templates_find()  for a language, NULL: there is none.
 *
 * Bounded: TEMPLATES_MOST templates, TEMPLATE_TEXT_MOST bytes of file.
 */
#ifndef MESSAGE_NOTICE_TEMPLATE_H
#define MESSAGE_NOTICE_TEMPLATE_H

#include "base/arena.h"
#include "base/buffer.h"

enum { TEMPLATES_MOST = 32, TEMPLATE_TEXT_MOST = 1 << 20 };
enum template_kind { TEMPLATE_FAILURE, TEMPLATE_DELAY, TEMPLATE_SUCCESS, TEMPLATE_VERIFY, TEMPLATE_KINDS };
extern const char *const template_names[TEMPLATE_KINDS];        /* "failure" */

struct notice_template {
	enum template_kind kind;
	struct bytes language;                   /* "" any                             */
	struct bytes from, subject, postmaster_subject;         /* "" not said          */
	struct bytes text;
};
struct notice_templates { struct notice_template one[TEMPLATES_MOST]; size_t count; };

bool templates_read(struct bytes file, const char *name, struct arena *, struct notice_templates *out, struct buffer *errors);
const struct notice_template *templates_find(const struct notice_templates *, enum template_kind, const char *language);

#endif
