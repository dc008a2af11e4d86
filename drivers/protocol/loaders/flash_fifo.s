@ Programs flash from a ring in SRAM while the probe fills it: neither waits for the other.
@ One loader for STM32F1 and STM32F2: both have SR at +0C and CR at +10 of their controller.
@
@ In: r0 = control block
@   +00 destination       +04 bytes left, counts down     +08 read pointer (loader)
@   +0c write pointer (host)   +10 status, last SR        +14 ring start
@   +18 ring end          +1c flash controller            +20 CR while programming
@   +24 width 2 or 4, 1 below 2.1 V   +28 BSY mask        +2c error mask
@ Ends at the BKPT; +04 is not 0 where an error bit was seen.

        .syntax unified
        .cpu    cortex-m3
        .thumb
        .text

        ldr     r1, [r0, #0x00]         @ destination
        ldr     r2, [r0, #0x04]         @ bytes left
        ldr     r3, [r0, #0x08]         @ read pointer
        ldr     r4, [r0, #0x1c]         @ controller
        ldr     r5, [r0, #0x24]         @ width
        ldr     r8, [r0, #0x14]         @ ring start
        ldr     r9, [r0, #0x18]         @ ring end
        ldr     r10, [r0, #0x28]        @ BSY
        ldr     r11, [r0, #0x2c]        @ errors
        ldr     r7, [r0, #0x20]
        str     r7, [r4, #0x10]         @ CR: programming
wait:
        ldr     r7, [r0, #0x0c]
        cmp     r7, r3                  @ empty
        beq     wait
        cmp     r5, #2
        bhi     word
        beq     half
        ldrb    r6, [r3]
        strb    r6, [r1]
        b       stored
half:
        ldrh    r6, [r3]
        strh    r6, [r1]
        b       stored
word:
        ldr     r6, [r3]
        str     r6, [r1]
stored:
        dsb
busy:
        ldr     r6, [r4, #0x0c]         @ SR
        tst     r6, r10
        bne     busy
        tst     r6, r11
        bne     done
        add     r1, r1, r5
        add     r3, r3, r5
        cmp     r3, r9
        it      hs
        movhs   r3, r8
        str     r3, [r0, #0x08]
        subs    r2, r2, r5
        str     r2, [r0, #0x04]
        bne     wait
done:
        str     r6, [r0, #0x10]
        movs    r7, #0
        str     r7, [r4, #0x10]         @ CR: nothing
        bkpt    #0
