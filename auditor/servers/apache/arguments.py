"""Lines that httpd refuses for their arguments: too few or too many words, expressions that cannot be parsed."""

from __future__ import annotations

import re

from auditor.servers.apache.config import Directive
from auditor.servers.apache.expr import ExprError, compile_condition, compile_string
from auditor.servers.apache.syntax import next_word

# How many words each takes, as 2.4.71 says when it is given none to four (config.c: invoke_cmd).
_COUNTS = """
1-1: acceptpathinfo adddefaultcharset aliaspreservepath allowencodedslashes anonymous_logemail
1-1: anonymous_mustgiveemail anonymous_nouserid anonymous_verifyemail asyncrequestworkerfactor
1-1: authbasicauthoritative authbasicusedigestalgorithm authdigestalgorithm authdigestnccheck
1-1: authdigestnoncelifetime authdigestshmemsize authformauthoritative authformbody authformdisablenostore
1-1: authformfakebasicauth authformlocation authformloginrequiredlocation authformloginsuccesslocation
1-1: authformlogoutlocation authformmethod authformmimetype authformpassword authformsitepassphrase authformsize
1-1: authformusername authgroupfile authmerging authname authtype authuserfile authzsendforbiddenonfailure
1-1: balancergrowth balancerinherit balancerpersist bufferedlogs cachedefaultexpire cachedetailheader
1-1: cachedirlength cachedirlevels cachedisable cacheheader cacheignorecachecontrol cacheignorenolastmod
1-1: cacheignorequerystring cachekeybaseurl cachelastmodifiedfactor cachelock cachelockmaxage cachelockpath
1-1: cachemaxexpire cachemaxfilesize cacheminexpire cacheminfilesize cachenegotiateddocs cachequickhandler
1-1: cachereadsize cachereadtime cacheroot cachestaleonerror cachestoreexpired cachestorenostore
1-1: cachestoreprivate cgidscripttimeout cgipassauth checkbasenamematch checkcaseonly checkspelling contentdigest
1-1: coredumpdirectory dav davbasepath davdepthinfinity davlockdb davlockdiscovery davmintimeout defaulticon
1-1: defaultlanguage defaultruntimedir defaulttype deflatealteretag deflatebuffersize deflatecompressionlevel
1-1: deflateinflatelimitrequestbody deflateinflateratioburst deflateinflateratiolimit deflatememlevel
1-1: deflatewindowsize directorycheckhandler directoryindexredirect directoryslash documentroot enablemmap
1-1: enablesendfile errorlog expiresactive expiresdefault extendedstatus fallbackresource flushmaxpipelined
1-1: flushmaxthreshold forcetype gracefulshutdowntimeout headername hostnamelookups indexheadinsert
1-1: indexignorereset indexstylesheet keepalive keepalivetimeout keptbodysize limitrequestfields
1-1: limitrequestfieldsize limitrequestline limitxmlrequestbody listenbacklog listencoresbucketsratio
1-1: listentcpdeferaccept logiotrackttfb maxclients maxconnectionsperchild maxkeepaliverequests maxmemfree
1-1: maxrangeoverlaps maxrangereversals maxranges maxrequestsperchild maxrequestworkers maxsparethreads
1-1: mergeslashes mergetrailers mimemagicfile minsparethreads modmimeusepathinfo namevirtualhost order pidfile
1-1: port protocol protocolshonororder proxy100continue proxyaddheaders proxybadheader proxydomain
1-1: proxyiobuffersize proxymaxforwards proxypassinherit proxypassinterpolateenv proxypreservehost
1-1: proxyreceivebuffersize proxyrequests proxyscgiinternalredirect proxyscgisendfile proxysourceaddress
1-1: proxystatus proxytimeout proxyvia proxywebsocketfallbacktoproxyhttp qualifyredirecturl readbuffersize
1-1: readmename receivebuffersize redirectrelative remoteipheader remoteipinternalproxylist remoteipproxiesheader
1-1: remoteipproxyprotocol remoteiptrustedproxylist rewritebase rewriteengine satisfy scoreboardfile scriptlog
1-1: scriptlogbuffer scriptloglength scriptsock seerequesttail sendbuffersize serveradmin serverlimit servername
1-1: serverpath serversignature sethandler setinputfilter setoutputfilter ssiendtag ssierrormsg ssietag
1-1: ssilastmodified ssilegacyexprparser ssistarttag ssitimeformat ssiundefinedecho sslcacertificatefile
1-1: sslcacertificatepath sslcadnrequestfile sslcadnrequestpath sslcarevocationfile sslcarevocationpath
1-1: sslcertificatechainfile sslcertificatefile sslcertificatekeyfile sslcompression sslcryptodevice sslengine
1-1: sslfips sslhonorcipherorder sslinsecurerenegotiation sslocspdefaultresponder sslocspnoverify
1-1: sslocspoverrideresponder sslocspproxyurl sslocsprespondercertificatefile sslocsprespondertimeout
1-1: sslocspresponsemaxage sslocspresponsetimeskew sslocspuserequestnonce sslpassphrasedialog
1-1: sslproxycacertificatefile sslproxycacertificatepath sslproxycarevocationfile sslproxycarevocationpath
1-1: sslproxycheckpeercn sslproxycheckpeerexpire sslproxycheckpeername sslproxyengine
1-1: sslproxymachinecertificatechainfile sslproxymachinecertificatefile sslproxymachinecertificatepath
1-1: sslproxyverify sslproxyverifydepth sslrenegbuffersize sslsessioncache sslsessioncachetimeout
1-1: sslsessionticketkeyfile sslsessiontickets sslsrpunknownuserseed sslsrpverifierfile sslstaplingcache
1-1: sslstaplingerrorcachetimeout sslstaplingfaketrylater sslstaplingforceurl sslstaplingrespondertimeout
1-1: sslstaplingresponsemaxage sslstaplingresponsetimeskew sslstaplingreturnrespondererrors
1-1: sslstaplingstandardcachetimeout sslstrictsnivhostcheck sslusername sslusestapling sslverifyclient
1-1: sslverifydepth sslvhostsnipolicy startservers stricthostcheck substitute substituteinheritbefore
1-1: substitutemaxlinelength suexec threadlimit threadsperchild threadstacksize timeout traceenable transferlog
1-1: typesconfig undefmacro usecanonicalname usecanonicalphysicalport virtualdocumentroot virtualdocumentrootip
1-1: virtualscriptalias virtualscriptaliasip watchdoginterval xbithack
1-2: authbasicfake cacheenable deflatefilternote errorlogformat filterdeclare limitinternalrecursion logformat
1-2: rlimitcpu rlimitmem rlimitnproc setenv sslciphersuite sslproxyciphersuite
1-: allowconnect anonymous authbasicprovider authdigestdomain authdigestprovider authdigestqop authformprovider
1-: cacheignoreheaders cacheignoreurlsessionidentifiers extfilteroptions filterchain forcelanguagepriority
1-: httpprotocoloptions indexignore languagepriority loglevel multiviewsmatch noproxy passenv protocols
1-: proxyblock proxyerroroverride registerhttpmethod remoteipinternalproxy remoteipproxyprotocolexceptions
1-: remoteiptrustedproxy removecharset removeencoding removehandler removeinputfilter removelanguage
1-: removeoutputfilter removetype rewriteoptions unsetenv userdir
2-2: acceptfilter addmoduleinfo cgivar errordocument expiresbytype filtertrace indexorderdefault script
2-2: sslopensslconfcmd suexecusergroup
2-3: action filterprotocol globallog proxyfcgisetenvif proxypassreversecookiedomain proxypassreversecookiepath
2-3: proxyremote proxyremotematch rewritemap sslrandomseed
2-: addalt addaltbyencoding addaltbytype addcharset adddescription addencoding addhandler addicon
2-: addiconbyencoding addiconbytype addinputfilter addlanguage addoutputfilter addoutputfilterbytype addtype
2-: allow deny
3-3: filterprovider
"""
COUNTS = {
    name: (int(least), int(most) if most else None)
    for least, most, names in re.findall(r"(?m)^(\d)-(\d?):((?: \S+)+)$", _COUNTS)
    for name in names.split()
}


def wrong_arguments(line: Directive, restricted: bool = False) -> str | None:
    """Why httpd refuses a line, None where it does not for what is judged here. `restricted`: of a .htaccess."""
    counts = COUNTS.get(line.key)
    if counts is not None:
        least, most = counts
        if len(line.args) < least or (most is not None and len(line.args) > most):
            return f"{line.name} takes {_words(least, most)}, not {len(line.args)}"
    text, value = _expression(line), _value(line)
    try:
        if text is not None and "${" not in text:
            compile_condition(text, restricted)
        if value is not None and "${" not in value:
            compile_string(value, restricted)
    except ExprError as error:
        return f"cannot parse the expression of {line.name}: {error}"
    except RecursionError:
        return f"cannot parse the expression of {line.name}: it is nested too deeply"
    return None


def _words(least: int, most: int | None) -> str:
    if most is None:
        return f"at least {least} argument{'s' if least > 1 else ''}"
    if most == 0:
        return "no arguments"
    if least == most:
        return f"{least} argument{'s' if least > 1 else ''}"
    return f"{least} to {most} arguments"


def _expression(line: Directive) -> str | None:
    """The boolean expression of a line, where it has one."""
    key, args = line.key, line.args
    if key in ("<if", "<elseif"):
        return args[0] if args and line.rest[:1] in "\"'" else line.rest
    if key == "require" and len(args) > 1 and args[0].lower() == "expr":
        rest = next_word(line.rest)[1]
        return rest[1:-1] if len(rest) > 1 and rest[0] == '"' == rest[-1] else rest
    if key in ("header", "requestheader"):
        # The value, too, may begin so: the condition is what follows it.
        words = args[1:] if args[:1] and args[0].lower() in ("always", "onsuccess") else args
        action = words[0].lower() if words else ""
        at = 2 if action in ("unset", "echo") else 4 if action.startswith("edit") else 3
        last = words[at] if len(words) > at else ""
        return last[5:] if last.lower().startswith("expr=") else None
    if key in ("setenvifexpr", "proxyfcgisetenvif") and len(args) > 1:
        return args[0]
    if key == "rewritecond" and len(args) > 1 and args[0].lower() == "expr":
        return args[1]
    return None


def _value(line: Directive) -> str | None:
    """The expression that a line makes a text of, where it has one."""
    key, args = line.key, line.args
    if key == "proxyfcgisetenvif" and len(args) > 2:
        return args[2]
    if key in ("header", "requestheader"):
        words = args[1:] if args[:1] and args[0].lower() in ("always", "onsuccess") else args
        value = words[2] if len(words) > 2 and words[0].lower() in _VALUED else ""
        return value[5:] if value.lower().startswith("expr=") else None
    return None


_VALUED = frozenset(("add", "append", "merge", "set", "setifempty"))
