"""The C interface of PKCS#11 (OASIS, version 2.40) as far as this package calls it.

Structures and the function list in their order; constants by their names in the standard without
the prefix that their group says (`Attribute.ID` is CKA_ID). cffi, in ABI mode, because its calls
release the interpreter lock and take a pointer as a plain address.

CK_C_INITIALIZE_ARGS is one pointer longer than the standard's: NSS has its parameters where the
standard has pReserved, and its own pReserved behind them.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Any, Final

import cffi

_DECLARATIONS: Final = """
typedef unsigned char CK_BYTE;
typedef unsigned long CK_ULONG;
typedef unsigned long CK_RV;
typedef struct { CK_BYTE major, minor; } CK_VERSION;
typedef struct { CK_ULONG type; void *pValue; CK_ULONG ulValueLen; } CK_ATTRIBUTE;
typedef struct { CK_ULONG mechanism; void *pParameter; CK_ULONG ulParameterLen; } CK_MECHANISM;
typedef struct {
  CK_BYTE *pIv; CK_ULONG ulIvLen; CK_ULONG ulIvBits;
  const CK_BYTE *pAAD; CK_ULONG ulAADLen; CK_ULONG ulTagBits;
} CK_GCM_PARAMS;
typedef struct {
  CK_ULONG hashAlg, mgf, source; void *pSourceData; CK_ULONG ulSourceDataLen;
} CK_RSA_PKCS_OAEP_PARAMS;
typedef struct { CK_ULONG hashAlg, mgf, sLen; } CK_RSA_PKCS_PSS_PARAMS;
typedef struct {
  void *CreateMutex, *DestroyMutex, *LockMutex, *UnlockMutex; CK_ULONG flags; void *pReserved;
  void *pReservedOfNss;
} CK_C_INITIALIZE_ARGS;
typedef struct {
  CK_VERSION cryptokiVersion; CK_BYTE manufacturerID[32]; CK_ULONG flags;
  CK_BYTE libraryDescription[32]; CK_VERSION libraryVersion;
} CK_INFO;
typedef struct {
  CK_BYTE label[32], manufacturerID[32], model[16], serialNumber[16];
  CK_ULONG flags;
  CK_ULONG ulMaxSessionCount, ulSessionCount, ulMaxRwSessionCount, ulRwSessionCount;
  CK_ULONG ulMaxPinLen, ulMinPinLen;
  CK_ULONG ulTotalPublicMemory, ulFreePublicMemory, ulTotalPrivateMemory, ulFreePrivateMemory;
  CK_VERSION hardwareVersion, firmwareVersion;
  CK_BYTE utcTime[16];
} CK_TOKEN_INFO;
typedef struct { CK_ULONG slotID, state, flags, ulDeviceError; } CK_SESSION_INFO;
typedef struct CK_FUNCTION_LIST {
  CK_VERSION version;
  CK_RV (*C_Initialize)(void *);
  CK_RV (*C_Finalize)(void *);
  CK_RV (*C_GetInfo)(CK_INFO *);
  void *C_GetFunctionList;
  CK_RV (*C_GetSlotList)(CK_BYTE, CK_ULONG *, CK_ULONG *);
  void *C_GetSlotInfo;
  CK_RV (*C_GetTokenInfo)(CK_ULONG, CK_TOKEN_INFO *);
  void *C_GetMechanismList, *C_GetMechanismInfo;
  CK_RV (*C_InitToken)(CK_ULONG, const CK_BYTE *, CK_ULONG, const CK_BYTE *);
  CK_RV (*C_InitPIN)(CK_ULONG, const CK_BYTE *, CK_ULONG);
  CK_RV (*C_SetPIN)(CK_ULONG, const CK_BYTE *, CK_ULONG, const CK_BYTE *, CK_ULONG);
  CK_RV (*C_OpenSession)(CK_ULONG, CK_ULONG, void *, void *, CK_ULONG *);
  CK_RV (*C_CloseSession)(CK_ULONG);
  void *C_CloseAllSessions;
  CK_RV (*C_GetSessionInfo)(CK_ULONG, CK_SESSION_INFO *);
  void *C_GetOperationState, *C_SetOperationState;
  CK_RV (*C_Login)(CK_ULONG, CK_ULONG, const CK_BYTE *, CK_ULONG);
  CK_RV (*C_Logout)(CK_ULONG);
  CK_RV (*C_CreateObject)(CK_ULONG, CK_ATTRIBUTE *, CK_ULONG, CK_ULONG *);
  void *C_CopyObject;
  CK_RV (*C_DestroyObject)(CK_ULONG, CK_ULONG);
  void *C_GetObjectSize;
  CK_RV (*C_GetAttributeValue)(CK_ULONG, CK_ULONG, CK_ATTRIBUTE *, CK_ULONG);
  void *C_SetAttributeValue;
  CK_RV (*C_FindObjectsInit)(CK_ULONG, CK_ATTRIBUTE *, CK_ULONG);
  CK_RV (*C_FindObjects)(CK_ULONG, CK_ULONG *, CK_ULONG, CK_ULONG *);
  CK_RV (*C_FindObjectsFinal)(CK_ULONG);
  CK_RV (*C_EncryptInit)(CK_ULONG, CK_MECHANISM *, CK_ULONG);
  CK_RV (*C_Encrypt)(CK_ULONG, const CK_BYTE *, CK_ULONG, CK_BYTE *, CK_ULONG *);
  void *C_EncryptUpdate, *C_EncryptFinal;
  CK_RV (*C_DecryptInit)(CK_ULONG, CK_MECHANISM *, CK_ULONG);
  CK_RV (*C_Decrypt)(CK_ULONG, const CK_BYTE *, CK_ULONG, CK_BYTE *, CK_ULONG *);
  void *C_DecryptUpdate, *C_DecryptFinal;
  void *C_DigestInit, *C_Digest, *C_DigestUpdate, *C_DigestKey, *C_DigestFinal;
  CK_RV (*C_SignInit)(CK_ULONG, CK_MECHANISM *, CK_ULONG);
  CK_RV (*C_Sign)(CK_ULONG, const CK_BYTE *, CK_ULONG, CK_BYTE *, CK_ULONG *);
  void *C_SignUpdate, *C_SignFinal, *C_SignRecoverInit, *C_SignRecover;
  void *C_VerifyInit, *C_Verify, *C_VerifyUpdate, *C_VerifyFinal;
  void *C_VerifyRecoverInit, *C_VerifyRecover;
  void *C_DigestEncryptUpdate, *C_DecryptDigestUpdate, *C_SignEncryptUpdate;
  void *C_DecryptVerifyUpdate;
  void *C_GenerateKey, *C_GenerateKeyPair;
  CK_RV (*C_WrapKey)(CK_ULONG, CK_MECHANISM *, CK_ULONG, CK_ULONG, CK_BYTE *, CK_ULONG *);
  void *C_UnwrapKey, *C_DeriveKey;
  void *C_SeedRandom;
  CK_RV (*C_GenerateRandom)(CK_ULONG, CK_BYTE *, CK_ULONG);
} CK_FUNCTION_LIST;
CK_RV C_GetFunctionList(CK_FUNCTION_LIST **);
"""

ffi: Final[Any] = cffi.FFI()
ffi.cdef(_DECLARATIONS)

FUNCTIONS: Final = (
    "C_Initialize",
    "C_Finalize",
    "C_GetInfo",
    "C_GetSlotList",
    "C_GetTokenInfo",
    "C_InitToken",
    "C_InitPIN",
    "C_SetPIN",
    "C_OpenSession",
    "C_CloseSession",
    "C_GetSessionInfo",
    "C_Login",
    "C_Logout",
    "C_CreateObject",
    "C_DestroyObject",
    "C_GetAttributeValue",
    "C_FindObjectsInit",
    "C_FindObjects",
    "C_FindObjectsFinal",
    "C_EncryptInit",
    "C_Encrypt",
    "C_DecryptInit",
    "C_Decrypt",
    "C_SignInit",
    "C_Sign",
    "C_WrapKey",
    "C_GenerateRandom",
)
"""What of the function list is called, and so must be there."""

BYTES: Final = ffi.typeof("CK_BYTE *")
ULONG: Final = ffi.typeof("CK_ULONG *")
ULONG_BYTES: Final[int] = ffi.sizeof("CK_ULONG")

UNAVAILABLE: Final = (1 << (8 * ULONG_BYTES)) - 1
"""CK_UNAVAILABLE_INFORMATION: the module does not tell this length or count."""

OS_LOCKING_OK: Final = 2
"""Flag of C_Initialize: the module locks with the operating system's means. Without it SoftHSM
switches its locks off, and threads crash the process."""

SERIAL_READ_WRITE: Final = 4 | 2
"""Flags of C_OpenSession."""

OF_USER: Final = 3
"""CKS_RW_USER_FUNCTIONS: the state of such a session while the user is logged in."""


class User(IntEnum):
    SO = 0
    USER = 1


class TokenFlag(IntFlag):
    USER_PIN_INITIALIZED = 0x8
    TOKEN_INITIALIZED = 0x400
    USER_PIN_COUNT_LOW = 0x10000
    USER_PIN_FINAL_TRY = 0x20000
    USER_PIN_LOCKED = 0x40000
    SO_PIN_TO_BE_CHANGED = 0x800000


class ObjectClass(IntEnum):
    PUBLIC_KEY = 2
    PRIVATE_KEY = 3
    SECRET_KEY = 4


DATA_OBJECT: Final = 0
"""CKO_DATA: what holds no key, and so is no `ObjectClass` of ours."""


class KeyType(IntEnum):
    RSA = 0x0
    EC = 0x3
    GENERIC_SECRET = 0x10
    AES = 0x1F
    EC_EDWARDS = 0x40


class Attribute(IntEnum):
    CLASS = 0x0
    TOKEN = 0x1
    PRIVATE = 0x2
    LABEL = 0x3
    VALUE = 0x11
    KEY_TYPE = 0x100
    ID = 0x102
    SENSITIVE = 0x103
    ENCRYPT = 0x104
    DECRYPT = 0x105
    WRAP = 0x106
    UNWRAP = 0x107
    SIGN = 0x108
    VERIFY = 0x10A
    DERIVE = 0x10C
    MODULUS = 0x120
    MODULUS_BITS = 0x121
    PUBLIC_EXPONENT = 0x122
    VALUE_LEN = 0x161
    EXTRACTABLE = 0x162
    LOCAL = 0x163
    NEVER_EXTRACTABLE = 0x164
    ALWAYS_SENSITIVE = 0x165
    MODIFIABLE = 0x170
    COPYABLE = 0x171
    EC_PARAMS = 0x180
    EC_POINT = 0x181


class Mechanism(IntEnum):
    RSA_PKCS_OAEP = 0x9
    RSA_PKCS_PSS = 0xD
    ECDSA = 0x1041
    AES_ECB = 0x1081
    AES_CBC_PAD = 0x1085
    AES_GCM = 0x1087
    AES_KEY_WRAP = 0x2109
    AES_KEY_WRAP_PAD = 0x210A


class Hash(IntEnum):
    """As CKM_… names it in the parameters of OAEP and PSS."""

    SHA1 = 0x220
    SHA256 = 0x250


MASK_BY: Final = {Hash.SHA1: 1, Hash.SHA256: 2}
"""CKG_MGF1_…: the mask generation function with the same hash."""

NO_LABEL: Final = 1
"""CKZ_DATA_SPECIFIED, the only source of an OAEP label, which is empty here."""


def address_of(buffer: Any) -> int:
    """The address of a buffer of ours that holds public bytes; valid as long as the buffer."""
    return int(ffi.cast("uintptr_t", buffer))
