/*
 * verp -- a sender for each recipient, so that whoever gets a notice knows whom it is about
 *
 *     owner-list@here.example to eva@there.example, delimiters "+=":  owner-list+eva=there.example@here.example
 *
 * verp_make()        the same sender where there is nothing to make of it: nobody, no domain, a recipient without one.
 * verp_delimiters()  whether these are two characters of those that are allowed.
 */
#ifndef MESSAGE_VERP_H
#define MESSAGE_VERP_H

#include "base/arena.h"

const char *verp_make(struct arena *, struct bytes sender, struct bytes recipient, struct bytes delimiters);
bool verp_delimiters(struct bytes delimiters, const char *allowed);

#endif
