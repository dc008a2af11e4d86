@ CRC-32 (ISO-HDLC, as zlib computes it) of a range, so that verifying does not read it back.
@
@ In: r0 = control block
@   +00 address     +04 bytes of one piece     +08 room for 1 KiB of table
@   +0c where the sums go, one word a piece    +10 number of pieces
@ Ends at the BKPT.

        .syntax unified
        .cpu    cortex-m3
        .thumb
        .text

        ldr     r1, [r0, #0x00]         @ address
        ldr     r8, [r0, #0x0c]         @ sums
        ldr     r9, [r0, #0x10]         @ pieces
        ldr     r3, [r0, #0x08]         @ table
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
piece:
        ldr     r2, [r0, #0x04]         @ bytes
        mvn     r4, #0
next:
        subs    r2, r2, #1
        bmi     sum
        ldrb    r6, [r1], #1
        eor     r6, r6, r4
        uxtb    r6, r6
        ldr     r6, [r3, r6, lsl #2]
        eor     r4, r6, r4, lsr #8
        b       next
sum:
        mvn     r4, r4
        str     r4, [r8], #4
        subs    r9, r9, #1
        bne     piece
        bkpt    #0
