/*
 * How a class key's object is labelled: `klero/<purpose>/v000001/m000001`. For class.c, which
 * reads such labels, and class_make.c, which writes them. Runs in hsm and keyadm.
 */
#ifndef HSM_P11_CLASS_LABEL_H
#define HSM_P11_CLASS_LABEL_H

#include <stdint.h>
#include <stdio.h>

#include "policy/purpose.h"

#define CLASS_LABEL_MAX 48

static inline void class_label(
    char out[CLASS_LABEL_MAX], enum key_purpose purpose, uint32_t version, uint32_t master)
{
	snprintf(out, CLASS_LABEL_MAX, "klero/%s/v%06u/m%06u", purpose_words[purpose],
	    version % 1000000, master % 1000000);
}

#endif
