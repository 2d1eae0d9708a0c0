/* Debian's virtual PC/SC reader, and the escape commands that it lacks: those of an ACR122U behind libccid with
 * ifdDriverOptions 0x0001 (SCardControl with IOCTL_SMARTCARD_VENDOR_IFD_EXCHANGE, CCID 1.1, 6.1.8).
 *
 * Linked against the virtual reader's driver, so that pcscd finds all other functions there. Each command is a line of
 * hex digits in the file that K12EDGE_ESCAPES names; there is none where the variable isn't set. */
#include <stdio.h>
#include <stdlib.h>

#define VENDOR_IFD_EXCHANGE 0x42000001UL /* SCARD_CTL_CODE(1) */
#define DONE 0
#define NOT_SUPPORTED 614

long IFDHControl(unsigned long lun, unsigned long code, unsigned char *command, unsigned long length,
                 unsigned char *answer, unsigned long room, unsigned long *answered)
{
    const char *name = getenv("K12EDGE_ESCAPES");
    FILE *file;
    (void)lun;
    if (answered)
        *answered = 0;
    if (!name || code != VENDOR_IFD_EXCHANGE || room < 2 || !answered || !(file = fopen(name, "a")))
        return NOT_SUPPORTED;
    for (unsigned long at = 0; at < length; at++)
        fprintf(file, "%02X", command[at]);
    fputc('\n', file);
    fclose(file);
    answer[0] = 0x90;
    answer[1] = 0x00;
    *answered = 2;
    return DONE;
}
