"""Which directive belongs to which module, and where it may stand: what `httpd -L` of 2.4.71 says of all its modules.

Letters before the names: s outside of sections, d inside, h in .htaccess; behind the colon what AllowOverride must
include: A AuthConfig, F FileInfo, I Indexes, L Limit, O Options (one of them suffices), * anything but None.
"""

from functools import cache
from typing import NamedTuple


class Spec(NamedTuple):
    """Where a directive may stand. `contexts` and `overrides` are the letters of the table."""

    module: str
    contexts: str
    overrides: str


_TABLE = """
core.c
  s <directory <directorymatch <location <locationmatch <virtualhost acceptfilter accessfilename
  s allowencodedslashes coredumpdirectory defaultruntimedir documentroot errorlog errorlogformat extendedstatus
  s flushmaxpipelined flushmaxthreshold httpprotocoloptions limitinternalrecursion limitrequestfields
  s limitrequestfieldsize limitrequestline maxconnectionsperchild maxmemfree maxrequestsperchild mergeslashes
  s mergetrailers mutex namevirtualhost pidfile port protocol protocols protocolshonororder regexdefaultoptions
  s registerhttpmethod scoreboardfile seerequesttail serveradmin serveralias servername serverpath serverroot
  s servertokens stricthostcheck threadstacksize timeout traceenable
  sdh:* <else <elseif <files <filesmatch <if <ifdefine <ifdirective <iffile <ifmodule <ifsection error
  sdh:* limitrequestbody limitxmlrequestbody rlimitcpu rlimitmem rlimitnproc serversignature
  dh:AL <limit <limitexcept
  sdh:F acceptpathinfo adddefaultcharset cgivar defaulttype enablemmap enablesendfile errordocument fileetag
  sdh:F forcetype qualifyredirecturl sethandler setinputfilter setoutputfilter
  sd define hostnamelookups include includeoptional loglevel maxrangeoverlaps maxrangereversals maxranges
  sd readbuffersize undefine usecanonicalname usecanonicalphysicalport
  d allowoverride allowoverridelist
  sdh:O contentdigest options
  dh:A cgipassauth
mod_so.c
  s loadfile loadmodule
mod_watchdog.c
  s watchdoginterval
http_core.c
  s keepalive keepalivetimeout maxkeepaliverequests
mod_log_config.c
  s bufferedlogs customlog globallog logformat transferlog
mod_logio.c
  sdh:* logiotrackttfb
mod_version.c
  sdh:* <ifversion
mod_unixd.c
  s chrootdir group suexec user
mpm_common.c
  s asyncrequestworkerfactor gracefulshutdowntimeout listen listenbacklog listencoresbucketsratio
  s listentcpdeferaccept maxclients maxrequestworkers maxsparethreads minsparethreads receivebuffersize
  s sendbuffersize serverlimit startservers threadlimit threadsperchild
mod_cache.c
  sd cachedefaultexpire cachedetailheader cachedisable cacheenable cacheheader cacheignorenolastmod
  sd cachelastmodifiedfactor cachemaxexpire cacheminexpire cachestaleonerror cachestoreexpired cachestorenostore
  sd cachestoreprivate
  s cacheignorecachecontrol cacheignoreheaders cacheignorequerystring cacheignoreurlsessionidentifiers
  s cachekeybaseurl cachelock cachelockmaxage cachelockpath cachequickhandler
mod_dbd.c
  s dbdexptime dbdinitsql dbdkeep dbdmax dbdmin dbdparams dbdpersist dbdpreparesql dbdriver
mod_proxy.c
  s <proxy <proxymatch balancergrowth balancerinherit balancerpersist noproxy proxybadheader proxyblock proxydomain
  s proxyiobuffersize proxymaxforwards proxypassinherit proxyreceivebuffersize proxyremote proxyremotematch
  s proxyrequests proxysourceaddress proxystatus proxytimeout proxyvia
  sd balancermember proxy100continue proxyaddheaders proxyerroroverride proxypass proxypassinterpolateenv
  sd proxypassmatch proxypassreverse proxypassreversecookiedomain proxypassreversecookiepath proxypreservehost
  sd proxyset
mod_session.c
  sdh:A session sessionenv sessionexclude sessionexpiryupdateinterval sessionheader sessioninclude sessionmaxage
util_ldap.c
  s ldapcacheentries ldapcachettl ldapconnectionpoolttl ldapconnectiontimeout ldaplibrarydebug ldapopcacheentries
  s ldapopcachettl ldapretries ldapretrydelay ldapsharedcachefile ldapsharedcachesize ldaptimeout
  s ldaptrustedglobalcert ldaptrustedmode ldapverifyservercert
  dh:A ldapreferralhoplimit ldapreferrals ldaptrustedclientcert
mod_lua.c
  sdh:* <luahookaccesschecker <luahookauthchecker <luahookcheckuserid <luahookfixups <luahookmaptostorage
  sdh:* <luahookpretranslatename <luahooktranslatename <luahooktypechecker <luaquickhandler lua_____bytecodehack
  sdh:* luacodecache luahookaccesschecker luahookauthchecker luahookcheckuserid luahookfixups luahookinsertfilter
  sdh:* luahooklog luahookmaptostorage luahookpretranslatename luahooktranslatename luahooktypechecker luainherit
  sdh:* luainputfilter luamaphandler luaoutputfilter luapackagecpath luapackagepath luaquickhandler luaroot
  sdh:* luascope
  s luaauthzprovider
mod_dav.c
  d dav davbasepath
  sd davdepthinfinity davlockdiscovery davmintimeout
mod_access_compat.c
  dh:L allow deny order
  dh:A satisfy
mod_actions.c
  sdh:F action
  sd script
mod_alias.c
  sd alias scriptalias
  sdh:F aliaspreservepath redirect redirectmatch redirectpermanent redirectrelative redirecttemp
  s aliasmatch scriptaliasmatch
mod_allowmethods.c
  d allowmethods
mod_auth_basic.c
  dh:A authbasicauthoritative authbasicfake authbasicprovider authbasicusedigestalgorithm
mod_auth_digest.c
  dh:A authdigestalgorithm authdigestdomain authdigestnccheck authdigestnoncelifetime authdigestprovider
  dh:A authdigestqop
  s authdigestshmemsize
mod_auth_form.c
  dh:A authformauthoritative authformbody authformdisablenostore authformfakebasicauth authformlocation
  dh:A authformloginrequiredlocation authformloginsuccesslocation authformlogoutlocation authformmethod
  dh:A authformmimetype authformpassword authformprovider authformsitepassphrase authformusername
  d authformsize
mod_authn_anon.c
  dh:A anonymous anonymous_logemail anonymous_mustgiveemail anonymous_nouserid anonymous_verifyemail
mod_authn_core.c
  dh:A authname authtype
  s <authnprovideralias
mod_authn_dbd.c
  d authdbduserpwquery authdbduserrealmquery
mod_authn_dbm.c
  dh:A authdbmtype authdbmuserfile
mod_authn_file.c
  dh:A authuserfile
mod_authn_socache.c
  s authncacheenable authncachesocache
  dh:A authncacheprovidefor authncachetimeout
  d authncachecontext
mod_authnz_fcgi.c
  s authnzfcgidefineprovider
  sdh:F authnzfcgicheckauthnprovider
mod_authnz_ldap.c
  dh:A authldapauthorizeprefix authldapbindauthoritative authldapbinddn authldapbindpassword authldapcompareasuser
  dh:A authldapcomparednonserver authldapdereferencealiases authldapgroupattribute authldapgroupattributeisdn
  dh:A authldapinitialbindasuser authldapinitialbindpattern authldapmaxsubgroupdepth authldapremoteuserattribute
  dh:A authldapremoteuserisdn authldapsearchasuser authldapsubgroupattribute authldapsubgroupclass authldapurl
  s authldapcharsetconfig
mod_authz_core.c
  s <authzprovideralias
  dh:A <requireall <requireany <requirenone authmerging authzsendforbiddenonfailure require
mod_authz_dbd.c
  d authzdbdlogintoreferer authzdbdquery authzdbdredirectquery
mod_authz_dbm.c
  dh:A authdbmgroupfile authzdbmtype
mod_authz_groupfile.c
  dh:A authgroupfile
mod_autoindex.c
  sdh:I addalt addaltbyencoding addaltbytype adddescription addicon addiconbyencoding addiconbytype defaulticon
  sdh:I headername indexheadinsert indexignore indexignorereset indexoptions indexorderdefault indexstylesheet
  sdh:I readmename
  sdh:* fancyindexing
mod_brotli.c
  s brotlialteretag brotlicompressionmaxinputblock brotlicompressionquality brotlicompressionwindow
  s brotlifilternote
mod_buffer.c
  d buffersize
mod_cache_disk.c
  s cachedirlength cachedirlevels cacheroot
  sd cachemaxfilesize cacheminfilesize cachereadsize cachereadtime
mod_cache_socache.c
  s cachesocache
  sd cachesocachemaxsize cachesocachemaxtime cachesocachemintime cachesocachereadsize cachesocachereadtime
mod_cern_meta.c
  sdh:I metadir metafiles metasuffix
mod_cgid.c
  s scriptlog scriptlogbuffer scriptloglength scriptsock
  sd cgidscripttimeout
mod_charset_lite.c
  sdh:F charsetdefault charsetoptions charsetsourceenc
mod_dav_fs.c
  s davlockdb
mod_dav_lock.c
  d davgenericlockdb
mod_deflate.c
  s deflatealteretag deflatebuffersize deflatecompressionlevel deflatefilternote deflatememlevel deflatewindowsize
  sdh:* deflateinflatelimitrequestbody deflateinflateratioburst deflateinflateratiolimit
mod_dialup.c
  d modemstandard
mod_dir.c
  sdh:I directorycheckhandler directoryindex directoryindexredirect directoryslash fallbackresource
mod_dumpio.c
  s dumpioinput dumpiooutput
mod_echo.c
  s protocolecho
mod_env.c
  sdh:F passenv setenv unsetenv
mod_expires.c
  sdh:I expiresactive expiresbytype expiresdefault
mod_ext_filter.c
  d extfilteroptions
  s extfilterdefine
mod_file_cache.c
  s cachefile mmapfile
mod_filter.c
  sdh:O filterchain filterdeclare filterprotocol filterprovider
  sd filtertrace
  sdh:F addoutputfilterbytype
mod_headers.c
  sdh:F header requestheader
mod_heartbeat.c
  s heartbeataddress
mod_heartmonitor.c
  s heartbeatlisten heartbeatmaxservers heartbeatstorage
mod_http2.c
  s h2direct h2earlyhints h2maxdataframelen h2maxheaderblocklen h2maxsessionstreams h2maxstreamerrors
  s h2maxworkeridleseconds h2maxworkers h2minworkers h2moderntlsonly h2outputbuffering h2padding h2pushdiarysize
  s h2pushpriority h2serializeheaders h2sessionextrafiles h2streammaxmemsize h2streamtimeout h2tlscooldownsecs
  s h2tlswarmupsize h2websockets h2windowsize
  sdh:A h2push h2upgrade
  sdh:F h2copyfiles h2proxyrequests
  sdh:AF h2earlyhint h2pushresource
mod_ident.c
  sd identitycheck identitychecktimeout
mod_imagemap.c
  sdh:I imapbase imapdefault imapmenu
mod_include.c
  sdh:O xbithack
  sdh:* ssierrormsg ssitimeformat ssiundefinedecho
  s ssiendtag ssistarttag
  dh:L ssietag ssilastmodified ssilegacyexprparser
mod_info.c
  s addmoduleinfo
mod_lbmethod_heartbeat.c
  s heartbeatstorage
mod_log_debug.c
  sd logmessage
mod_log_forensic.c
  s forensiclog
mod_macro.c
  sdh:* <macro macroignorebadnesting macroignoreemptyargs undefmacro use
mod_md.c
  s <mdomain <mdomainset mdactivationdelay mdbaseserver mdcacertificatefile mdcachallenges mdcertificateagreement
  s mdcertificateauthority mdcertificatecheck mdcertificatefile mdcertificatekeyfile mdcertificateprotocol
  s mdcertificatestatus mdchallengedns01 mdchallengedns01version mdcheckinterval mdcontactemail mddrivemode
  s mdexternalaccountbinding mdhttpproxy mdhttpproxycacertificatefile mdinitialdelay mdmatchnames mdmember
  s mdmembers mdmessagecmd mdmuststaple mdnotifycmd mdomain mdportmap mdprivatekeys mdprofile mdprofilemandatory
  s mdrenewmode mdrenewviaari mdrenewwindow mdretrydelay mdretryfailover mdserverstatus mdstapleothers mdstapling
  s mdstaplingkeepresponse mdstaplingrenewwindow mdstoredir mdstorelocks mdwarnwindow
  sdh:A mdrequirehttps
mod_mime.c
  sdh:F addcharset addencoding addhandler addinputfilter addlanguage addoutputfilter addtype defaultlanguage
  sdh:F multiviewsmatch removecharset removeencoding removehandler removeinputfilter removelanguage
  sdh:F removeoutputfilter removetype
  s typesconfig
  d modmimeusepathinfo
mod_mime_magic.c
  s mimemagicfile
mod_negotiation.c
  s cachenegotiateddocs
  sdh:F forcelanguagepriority languagepriority
mod_proxy_connect.c
  s allowconnect
mod_proxy_express.c
  sdh:F proxyexpressdbmfile proxyexpressdbmtype proxyexpressenable
mod_proxy_fcgi.c
  sdh:F proxyfcgibackendtype proxyfcgisetenvif
mod_proxy_ftp.c
  sd proxyftpdircharset proxyftpescapewildcards proxyftplistonwildcard
mod_proxy_hcheck.c
  sdh:F proxyhcexpr proxyhctemplate
  s proxyhctpsize
mod_proxy_html.c
  sd proxyhtmlbufsize proxyhtmlcharsetout proxyhtmldoctype proxyhtmlenable proxyhtmlevents proxyhtmlextended
  sd proxyhtmlfixups proxyhtmlinterp proxyhtmllinks proxyhtmlmeta proxyhtmlstripcomments proxyhtmlurlmap
mod_proxy_scgi.c
  sd proxyscgiinternalredirect proxyscgisendfile
mod_proxy_wstunnel.c
  sd proxywebsocketfallbacktoproxyhttp
mod_reflector.c
  sdh:O reflectorheader
mod_remoteip.c
  s remoteipheader remoteipinternalproxy remoteipinternalproxylist remoteipproxiesheader remoteipproxyprotocol
  s remoteipproxyprotocolexceptions remoteiptrustedproxy remoteiptrustedproxylist
mod_reqtimeout.c
  s requestreadtimeout
mod_request.c
  d keptbodysize
mod_rewrite.c
  sdh:F rewritebase rewritecond rewriteengine rewriteoptions rewriterule
  s rewritemap
mod_sed.c
  d inputsed outputsed
mod_session_cookie.c
  sdh:A sessioncookiename sessioncookiename2 sessioncookieremove
mod_session_crypto.c
  sdh:A sessioncryptocipher sessioncryptopassphrase
  sd sessioncryptopassphrasefile
  s sessioncryptodriver
mod_session_dbd.c
  sdh:A sessiondbdcookiename sessiondbdcookiename2 sessiondbdcookieremove sessiondbddeletelabel
  sdh:A sessiondbdinsertlabel sessiondbdperuser sessiondbdselectlabel sessiondbdupdatelabel
mod_setenvif.c
  sdh:F browsermatch browsermatchnocase setenvif setenvifexpr setenvifnocase
mod_socache_memcache.c
  s memcacheconnttl
mod_socache_redis.c
  s redisconnpoolttl redistimeout
mod_speling.c
  sdh:O checkbasenamematch checkcaseonly checkspelling
mod_ssl.c
  s sslcadnrequestfile sslcadnrequestpath sslcarevocationcheck sslcarevocationfile sslcarevocationpath
  s sslcertificatechainfile sslcertificatefile sslcertificatekeyfile sslcompression sslcryptodevice sslengine
  s sslfips sslhonorcipherorder sslinsecurerenegotiation sslocspdefaultresponder sslocspenable sslocspnoverify
  s sslocspoverrideresponder sslocspproxyurl sslocsprespondercertificatefile sslocsprespondertimeout
  s sslocspresponsemaxage sslocspresponsetimeskew sslocspuserequestnonce sslopensslconfcmd sslpassphrasedialog
  s sslprotocol sslproxycacertificatefile sslproxycacertificatepath sslproxycarevocationcheck
  s sslproxycarevocationfile sslproxycarevocationpath sslproxycheckpeercn sslproxycheckpeerexpire
  s sslproxycheckpeername sslproxyciphersuite sslproxyengine sslproxymachinecertificatechainfile
  s sslproxymachinecertificatefile sslproxymachinecertificatepath sslproxyprotocol sslproxyverify
  s sslproxyverifydepth sslrandomseed sslsessioncache sslsessioncachetimeout sslsessionticketkeyfile
  s sslsessiontickets sslsrpunknownuserseed sslsrpverifierfile sslstaplingcache sslstaplingerrorcachetimeout
  s sslstaplingfaketrylater sslstaplingforceurl sslstaplingrespondertimeout sslstaplingresponsemaxage
  s sslstaplingresponsetimeskew sslstaplingreturnrespondererrors sslstaplingstandardcachetimeout
  s sslstrictsnivhostcheck sslusestapling sslvhostsnipolicy
  sdh:A sslcacertificatefile sslcacertificatepath sslciphersuite sslusername sslverifyclient sslverifydepth
  sdh:O ssloptions
  dh:A sslrenegbuffersize sslrequire sslrequiressl
  sdh:* ssllog sslloglevel
mod_substitute.c
  sdh:F substitute substituteinheritbefore substitutemaxlinelength
mod_userdir.c
  s userdir
mod_usertrack.c
  sdh:F cookiedomain cookieexpires cookiehttponly cookiename cookiesamesite cookiesecure cookiestyle cookietracking
mod_vhost_alias.c
  s virtualdocumentroot virtualdocumentrootip virtualscriptalias virtualscriptaliasip
mod_xml2enc.c
  sdh:* xml2encdefault xml2startparse
  s xml2encalias
mod_suexec.c
  s suexecusergroup
mod_wsgi.c
  s wsgiacceptmutex wsgicasesensitivity wsgidaemonprocess wsgidestroyinterpreter wsgidontwritebytecode
  s wsgiimportscript wsgilazyinitialization wsginewrelicconfigfile wsginewrelicenvironment wsgipythoneggs
  s wsgipythonhashseed wsgipythonhome wsgipythonoptimize wsgipythonpath wsgipythonwarnings wsgirestrictembedded
  s wsgirestrictsignal wsgirestrictstdin wsgirestrictstdout wsgiscriptalias wsgiscriptaliasmatch wsgiservermetrics
  s wsgisocketprefix wsgisocketrotation wsgiverbosedebugging
  sd wsgiapplicationgroup wsgidispatchscript wsgihandlerscript wsgipassapacherequest wsgiprocessgroup
  sd wsgirestrictprocess
  sdh:F wsgicallableobject wsgichunkedrequest wsgienablesendfile wsgierroroverride wsgiignoreactivity
  sdh:F wsgimapheadtoget wsgipassauthorization wsgiscriptreloading wsgitrustedproxies wsgitrustedproxyheaders
  dh:A wsgiaccessscript wsgiauthgroupscript wsgiauthuserscript wsgigroupauthoritative
mpm_prefork.c
  s maxspareservers minspareservers
mod_php.c
  sdh:O php_flag php_value
  sd php_admin_flag php_admin_value
  s phpinidir
"""


@cache
def _specs() -> dict[str, Spec]:
    specs: dict[str, Spec] = {}
    module = ""
    for line in _TABLE.strip().splitlines():
        if not line.startswith(" "):
            module = line
            continue
        where, *names = line.split()
        contexts, _, overrides = where.partition(":")
        for name in names:
            specs.setdefault(name, Spec(module, contexts, overrides))
    return specs


def spec_of(key: str) -> Spec | None:
    """What is known of the directive; `key` is its name in lower case, `<name` for a section. None if unknown."""
    return _specs().get(key)


def known_names() -> list[str]:
    """The names of all directives that are known here, in lower case."""
    return list(_specs())
