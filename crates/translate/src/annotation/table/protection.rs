//! Who may ask, and how much.

use super::super::Feature;
use super::super::State::{Guards, Needless, Works};
use super::super::kind::ValueKind::{
    Bool, Code, Integer, Names, Object, OneOf, Ranges, Seconds, Size, Text, Token, Url,
};
use super::Scope::{Domain, Ingress};
use super::Spelling::{Both, Own};
use super::{Group, Row, group};

pub(super) const GROUPS: &[Group] = &[
    group! { "Access by address", "按地址访问控制";
        "whitelist-source-range", Both, Ingress, Ranges, "",
            "Only these addresses may use the routes; 403 for others", "只有这些地址可以使用路由，其余 403",
            Works(Feature::Whitelist);
        "allowlist-source-range", Both, Ingress, Ranges, "",
            "Newer spelling of `whitelist-source-range`", "`whitelist-source-range` 的新写法",
            Works(Feature::Allowlist);
        "denylist-source-range", Both, Ingress, Ranges, "",
            "These addresses get 403", "这些地址得到 403",
            Works(Feature::Denylist);
        "blacklist-source-range", Own, Ingress, Ranges, "",
            "These addresses get 403", "这些地址得到 403",
            Works(Feature::Blacklist);
        "domain-whitelist-source-range", Own, Domain, Ranges, "",
            "Only these addresses may use the host", "只有这些地址可以使用该主机",
            ~ "Lists of a route go before; of a younger Ingress it holds for its own routes", "路由自己的列表优先；较新的 Ingress 的列表只作用于它自己的路由",
            Works(Feature::DomainWhitelist);
        "domain-blacklist-source-range", Own, Domain, Ranges, "",
            "These addresses get 403 on the host", "这些地址在该主机上得到 403",
            ~ "Lists of a route go before; of a younger Ingress it holds for its own routes", "路由自己的列表优先；较新的 Ingress 的列表只作用于它自己的路由",
            Works(Feature::DomainBlacklist);
    },
    group! { "Basic authentication", "基本认证";
        "auth-type", Both, Ingress, OneOf(&["basic", "digest"]), "",
            "Asks for name and password; `digest` closes the routes", "要求用户名与密码；`digest` 会关闭路由",
            Works(Feature::AuthType);
        "auth-secret", Both, Ingress, Object, "",
            "Secret with the users; of type Opaque, in the namespace of the Ingress, on the hub", "存放用户的 Secret；须在 hub 上、Ingress 自己的命名空间中，类型为 Opaque",
            Works(Feature::AuthSecret);
        "auth-secret-type", Both, Ingress, OneOf(&["auth-file", "auth-map"]), "auth-file",
            "How the Secret holds them", "Secret 中用户的存放方式",
            Works(Feature::AuthSecretType);
        "auth-realm", Both, Ingress, Text, "Authentication Required",
            "Realm named in the 401 answer", "401 响应中的 realm",
            Works(Feature::AuthRealm);
        "satisfy", Both, Ingress, OneOf(&["all", "any"]), "all",
            "Whether all rules of access must pass, or one", "须通过全部访问规则，还是其中之一",
            ~ "An address on a list of refused ones is never let in", "在拒绝列表中的地址总是被拒绝",
            Works(Feature::Satisfy);
    },
    group! { "External authentication", "外部认证";
        "auth-url", Both, Ingress, Url, "",
            "Service that is asked about each request", "对每个请求询问的服务",
            ~ "Services (`http://NAME.NAMESPACE.svc`), or hosts that the gateway serves, `$host` among them; others are not asked, and 503", "Service（`http://NAME.NAMESPACE.svc`）或网关所服务的主机，包括 `$host`；其他的不询问，返回 503",
            Works(Feature::AuthUrl);
        "auth-method", Both, Ingress, Token, "GET",
            "Method of that question", "询问所用的方法",
            Works(Feature::AuthMethod);
        "auth-signin", Both, Ingress, Url, "",
            "Where a client without a session is sent to", "没有会话的客户端被转到何处",
            Works(Feature::AuthSignin);
        "auth-signin-redirect-param", Both, Ingress, Token, "rd",
            "Query parameter that carries the original URL", "携带原始 URL 的查询参数",
            Works(Feature::AuthSigninParameter);
        "auth-response-headers", Both, Ingress, Names, "",
            "Headers of its answer that the backend gets", "其应答中转给后端的头",
            Works(Feature::AuthResponseHeaders);
        "auth-request-redirect", Both, Ingress, Text, "",
            "Value of `X-Auth-Request-Redirect` in the question", "询问中 `X-Auth-Request-Redirect` 的值",
            Works(Feature::AuthRequestRedirect);
        "auth-always-set-cookie", Both, Ingress, Bool, "false",
            "Passes its cookies on with any status", "无论状态码如何都转发其 cookie",
            ~ "Its cookies are always passed on", "其 cookie 总是转发",
            Works(Feature::AuthAlwaysSetCookie);
        "auth-cache-key", Both, Ingress, Text, "",
            "Key by which its answers are kept", "缓存其应答的键",
            ~ "It must name a header or a cookie; answers that set cookies are not kept", "必须包含某个头或 cookie；设置 cookie 的应答不缓存",
            Works(Feature::AuthCacheKey);
        "auth-cache-duration", Both, Ingress, Text, "200 202 401 5m",
            "How long they are kept", "缓存多久",
            Works(Feature::AuthCacheDuration);
        "auth-keepalive", Both, Ingress, Integer(0, 1_000_000), "0",
            "Most idle connections to it", "到它的最大空闲连接数",
            ~ "Connections to it are kept as to any backend", "到它的连接与到任何后端的一样被保持",
            Needless;
        "auth-keepalive-requests", Both, Ingress, Integer(0, 1_000_000), "1000",
            "Requests of one connection to it", "到它的一条连接的请求数",
            ~ "Connections to it are kept as to any backend", "到它的连接与到任何后端的一样被保持",
            Needless;
        "auth-keepalive-timeout", Both, Ingress, Seconds, "60",
            "How long such a connection may idle", "这样的连接可以空闲多久",
            ~ "Connections to it are kept as to any backend", "到它的连接与到任何后端的一样被保持",
            Needless;
        "auth-keepalive-share-vars", Both, Ingress, Bool, "false",
            "Shares variables between request and question", "请求与询问共享变量",
            ~ "There are no variables", "没有变量",
            Needless;
        "auth-proxy-set-headers", Both, Ingress, Object, "",
            "Headers of the question from a ConfigMap of the Ingress's namespace; those with variables are left out", "来自同命名空间 ConfigMap 的询问请求头；含变量的被略去",
            Works(Feature::AuthProxySetHeaders);
        "enable-global-auth", Both, Ingress, Bool, "true",
            "Whether authentication of the whole gateway counts here", "整个网关的认证是否作用于此处",
            ~ "There is no authentication of the whole gateway", "没有整个网关的认证",
            Needless;
    },
    group! { "TLS towards clients", "到客户端的 TLS";
        "auth-tls-secret", Both, Domain, Object, "",
            "CA whose client certificates are asked for", "要求客户端证书时所用的 CA",
            ~ "Requests without TLS are answered 403 where a certificate is needed", "需要证书时，不经 TLS 的请求返回 403",
            Works(Feature::AuthTlsSecret);
        "auth-tls-verify-client", Both, Domain, OneOf(&["on", "off", "optional", "optional_no_ca"]), "on",
            "Whether a client certificate is needed", "是否需要客户端证书",
            Works(Feature::AuthTlsVerifyClient);
        "auth-tls-verify-depth", Both, Domain, Integer(0, 100), "1",
            "Longest chain of a client certificate", "客户端证书链的最大长度",
            Works(Feature::AuthTlsVerifyDepth);
        "auth-tls-error-page", Both, Domain, Url, "",
            "Where clients with a bad certificate are sent to", "证书有误的客户端被转到何处",
            Works(Feature::AuthTlsErrorPage);
        "auth-tls-pass-certificate-to-upstream", Both, Domain, Bool, "false",
            "Sends the client certificate to the backend", "把客户端证书发给后端",
            Works(Feature::AuthTlsPass);
        "auth-tls-match-cn", Both, Domain, Text, "",
            "Common name that a client certificate must have: `CN=` and a regular expression", "客户端证书必须具有的 CN：`CN=` 与正则表达式",
            ~ "It must match a whole common name, not a part of the subject", "必须匹配整个 CN，而不是主体名的一部分",
            Works(Feature::AuthTlsMatchCn);
        "tls-min-protocol-version", Own, Domain, OneOf(&["TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"]), "TLSv1.0",
            "Lowest TLS version; below TLS 1.2 none is spoken", "最低 TLS 版本；TLS 1.2 以下均不支持",
            Works(Feature::TlsMin);
        "tls-max-protocol-version", Own, Domain, OneOf(&["TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"]), "TLSv1.3",
            "Highest TLS version", "最高 TLS 版本",
            Works(Feature::TlsMax);
        "ssl-cipher", Both, Domain, Text, "",
            "Cipher suites up to TLS 1.2", "TLS 1.2 及以下的密码套件",
            Works(Feature::SslCipher);
        "ssl-ciphers", Both, Domain, Text, "",
            "ingress-nginx's spelling of `ssl-cipher`", "ingress-nginx 对 `ssl-cipher` 的写法",
            Works(Feature::SslCiphers);
        "ssl-prefer-server-ciphers", Both, Domain, Bool, "true",
            "The gateway's order of cipher suites counts", "以网关的密码套件顺序为准",
            ~ "The gateway's order always counts", "始终以网关的顺序为准",
            Needless;
        "ssl-passthrough", Both, Domain, Bool, "false",
            "Passes TLS to the backend without ending it", "不终止 TLS，直接透传给后端",
            ~ "Only the oldest Ingress of a host can say it", "只有主机最早的 Ingress 可以指定",
            Works(Feature::SslPassthrough);
    },
    group! { "Limits", "限流与限制";
        "route-limit-rpm", Own, Ingress, Integer(1, 1_000_000_000), "",
            "Requests a minute of each gateway; 429 above", "每个网关每分钟的请求数，超过则 429",
            Works(Feature::RouteLimitRpm);
        "route-limit-rps", Own, Ingress, Integer(1, 1_000_000_000), "",
            "Requests a second of each gateway; 429 above", "每个网关每秒的请求数，超过则 429",
            ~ "With `route-limit-rpm` beside it, that one counts", "与 `route-limit-rpm` 同写时以后者为准",
            Works(Feature::RouteLimitRps);
        "route-limit-burst-multiplier", Own, Ingress, Integer(1, 1_000_000), "5",
            "Burst in times of the limit", "突发量是限额的几倍",
            Works(Feature::RouteLimitBurst);
        "rate-limit", Own, Ingress, Integer(1, 1_000_000_000), "",
            "Requests a second of all gateways together", "所有网关合计每秒的请求数",
            ~ "Each gateway lets its even part through, and at least one", "每个网关放行其平均份额，且至少一个",
            Works(Feature::FleetLimit);
        "rate-limit-fallback-custom-response-code", Own, Ingress, Code, "429",
            "Status above the limit", "超限时的状态码",
            Works(Feature::FleetLimitCode);
        "rate-limit-fallback-custom-response-body-type", Own, Ingress, OneOf(&["text", "json"]), "text",
            "Type of the body above the limit", "超限时响应体的类型",
            Works(Feature::FleetLimitBodyType);
        "rate-limit-fallback-custom-response-body", Own, Ingress, Text, "",
            "Body above the limit", "超限时的响应体",
            Works(Feature::FleetLimitBody);
        "rate-limit-fallback-redirect-url", Own, Ingress, Url, "",
            "Redirect above the limit", "超限时转到的地址",
            Works(Feature::FleetLimitRedirect);
        "concurrency-limit", Own, Ingress, Integer(1, 1_000_000_000), "",
            "Most requests in flight", "同时处理的最大请求数",
            ~ "Each gateway lets its even part through, and at least one", "每个网关放行其平均份额，且至少一个",
            Works(Feature::ConcurrencyLimit);
        "concurrency-limit-fallback-custom-response-code", Own, Ingress, Code, "429",
            "Status above the limit", "超限时的状态码",
            Works(Feature::ConcurrencyLimitCode);
        "concurrency-limit-fallback-custom-response-body-type", Own, Ingress, OneOf(&["text", "json"]), "text",
            "Type of the body above the limit", "超限时响应体的类型",
            Works(Feature::ConcurrencyLimitBodyType);
        "concurrency-limit-fallback-custom-response-body", Own, Ingress, Text, "",
            "Body above the limit", "超限时的响应体",
            Works(Feature::ConcurrencyLimitBody);
        "concurrency-limit-fallback-redirect-url", Own, Ingress, Url, "",
            "Redirect above the limit", "超限时转到的地址",
            Works(Feature::ConcurrencyLimitRedirect);
        "limit-connections", Both, Ingress, Integer(0, 1_000_000_000), "",
            "Most connections from one address; 503 above", "单个地址的最大连接数，超过则 503",
            ~ "Requests under way are counted, not idle connections", "计的是处理中的请求，而非空闲连接",
            Works(Feature::LimitConnections);
        "limit-rps", Both, Ingress, Integer(0, 1_000_000_000), "",
            "Requests a second from one address; 503 above", "单个地址每秒的请求数，超过则 503",
            Works(Feature::LimitRps);
        "limit-rpm", Both, Ingress, Integer(0, 1_000_000_000), "",
            "Requests a minute from one address; 503 above", "单个地址每分钟的请求数，超过则 503",
            Works(Feature::LimitRpm);
        "limit-burst-multiplier", Both, Ingress, Integer(1, 1_000_000), "5",
            "Burst in times of the limit", "突发量是限额的几倍",
            Works(Feature::LimitBurst);
        "limit-rate", Both, Ingress, Integer(0, 1_000_000_000), "0",
            "Kilobytes a second of one answer", "单个响应每秒的千字节数",
            Works(Feature::LimitRate);
        "limit-rate-after", Both, Ingress, Integer(0, 1_000_000_000), "0",
            "Kilobytes before `limit-rate` begins", "发送多少千字节后 `limit-rate` 才开始",
            Works(Feature::LimitRateAfter);
        "limit-whitelist", Both, Ingress, Ranges, "",
            "Addresses without limits", "不受限制的地址",
            Works(Feature::LimitWhitelist);
        "limit-allowlist", Both, Ingress, Ranges, "",
            "Newer spelling of `limit-whitelist`", "`limit-whitelist` 的新写法",
            Works(Feature::LimitAllowlist);
        "global-rate-limit", Both, Ingress, Integer(0, 1_000_000_000), "",
            "Requests in a window over all gateways; 429 above", "所有网关在一个窗口内的请求数，超过则 429",
            ~ "Each gateway lets its even part through; no memcached is needed", "每个网关放行其平均份额；不需要 memcached",
            Works(Feature::GlobalLimit);
        "global-rate-limit-window", Both, Ingress, Text, "",
            "The window, such as `1m`", "窗口，如 `1m`",
            Works(Feature::GlobalLimitWindow);
        "global-rate-limit-key", Both, Ingress, Text, "$remote_addr",
            "What is counted apart", "按什么分别计数",
            Works(Feature::GlobalLimitKey);
        "global-rate-limit-ignored-cidrs", Both, Ingress, Ranges, "",
            "Addresses that are not counted", "不计数的地址",
            Works(Feature::GlobalLimitIgnored);
        "proxy-body-size", Both, Ingress, Size, "",
            "Largest request body; 413 above, 0 for none; no limit without it, 1m in ingress-nginx",
            "最大请求体，超过则 413，0 表示不限；不写则不限，ingress-nginx 为 1m",
            Works(Feature::BodySize);
    },
    group! { "Web application firewall", "Web 应用防火墙";
        "enable-modsecurity", Both, Ingress, Bool, "false",
            "Loads ModSecurity", "加载 ModSecurity",
            ~ "There is no web application firewall; remove it, and put one in front of the gateway",
              "没有 Web 应用防火墙；请移除它，并在网关前面放一个",
            Guards;
        "enable-owasp-core-rules", Both, Ingress, Bool, "false",
            "Loads the OWASP core rules", "加载 OWASP 核心规则",
            ~ "There is no web application firewall; remove it, and put one in front of the gateway",
              "没有 Web 应用防火墙；请移除它，并在网关前面放一个",
            Guards;
        "modsecurity-transaction-id", Both, Ingress, Text, "",
            "Transaction id for ModSecurity", "ModSecurity 的事务 id",
            ~ "There is no web application firewall; remove it, and put one in front of the gateway",
              "没有 Web 应用防火墙；请移除它，并在网关前面放一个",
            Guards;
    },
];
