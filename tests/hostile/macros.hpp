// SPDX-License-Identifier: Apache-2.0
// Macros of headers that programs may include before gdssm's: those of Windows, X11, <complex.h> and the like.

// Windows
#define min(a, b) (((a) < (b)) ? (a) : (b))
#define max(a, b) (((a) > (b)) ? (a) : (b))
#define near
#define far
#define small char
#define interface struct
#define IN
#define OUT
#define ERROR 0
#define DELETE 0x00010000L
#define ABSOLUTE 1
#define RELATIVE 2

// X11
#define None 0L
#define Bool int
#define Status int
#define True 1
#define False 0
#define Success 0
#define Always 2
#define Convex 2
#define Unsorted 0
#define Above 0
#define Below 1

// The C library: <complex.h>, <math.h> with System V's names, <sys/sysmacros.h>, and what GNU dialects predefine
#define I _Complex_I
#define DOMAIN 1
#define SING 2
#define OVERFLOW 3
#define UNDERFLOW 4
#define major(device) ((device) >> 8)
#define minor(device) ((device)&255)
#define linux 1
#define unix 1
