@ CRC-32 (ISO-HDLC, as zlib computes it) of a range, so that verifying does not read it back.
@ Four tables, a word at a time.
@
@ In: r0 = control block
@   +00 address     +04 bytes of one piece     +08 room for 4 KiB of tables
@   +0c where the sums go, one word a piece    +10 number of pieces
@ Ends at the BKPT.

        .syntax unified
        .cpu    cortex-m3
        .thumb
        .text

        ldr     r1, [r0, #0x00]         @ address
        ldr     r8, [r0, #0x0c]         @ sums
        ldr     r9, [r0, #0x10]         @ pieces
        ldr     r3, [r0, #0x08]         @ tables: of a byte, and of one with 1, 2, 3 bytes behind it
        add     r10, r3, #0x400
        add     r11, r3, #0x800
        add     r12, r3, #0xc00
        movw    r5, #0x8320
        movt    r5, #0xedb8             @ the polynomial, reflected
        movs    r6, #0
entry:
        mov     r7, r6
        movs    r4, #8
bit:
        lsrs    r7, r7, #1
        it      cs
        eorcs   r7, r7, r5
        subs    r4, r4, #1
        bne     bit
        str     r7, [r3, r6, lsl #2]
        adds    r6, r6, #1
        cmp     r6, #256
        bne     entry
        movs    r6, #0
farther:
        ldr     r7, [r3, r6, lsl #2]
        uxtb    r5, r7
        ldr     r5, [r3, r5, lsl #2]
        eor     r7, r5, r7, lsr #8
        str     r7, [r10, r6, lsl #2]
        uxtb    r5, r7
        ldr     r5, [r3, r5, lsl #2]
        eor     r7, r5, r7, lsr #8
        str     r7, [r11, r6, lsl #2]
        uxtb    r5, r7
        ldr     r5, [r3, r5, lsl #2]
        eor     r7, r5, r7, lsr #8
        str     r7, [r12, r6, lsl #2]
        adds    r6, r6, #1
        cmp     r6, #256
        bne     farther
piece:
        ldr     r2, [r0, #0x04]         @ bytes
        mvn     r4, #0
head:
        tst     r1, #3
        beq     words
        bl      byte
        b       head
words:
        subs    r2, r2, #4
        bmi     tail
        ldr     r6, [r1], #4
        eor     r4, r4, r6
        uxtb    r5, r4
        ubfx    r6, r4, #8, #8
        ubfx    r7, r4, #16, #8
        lsrs    r4, r4, #24
        ldr     r5, [r12, r5, lsl #2]
        ldr     r6, [r11, r6, lsl #2]
        ldr     r7, [r10, r7, lsl #2]
        ldr     r4, [r3, r4, lsl #2]
        eor     r4, r4, r5
        eor     r4, r4, r6
        eor     r4, r4, r7
        b       words
tail:
        adds    r2, r2, #4
last:
        bl      byte
        b       last
byte:
        subs    r2, r2, #1
        bmi     sum
        ldrb    r6, [r1], #1
        eor     r6, r6, r4
        uxtb    r6, r6
        ldr     r6, [r3, r6, lsl #2]
        eor     r4, r6, r4, lsr #8
        bx      lr
sum:
        mvn     r4, r4
        str     r4, [r8], #4
        subs    r9, r9, #1
        bne     piece
        bkpt    #0
