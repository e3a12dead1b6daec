//! How the gateway deals with backends.

use super::super::Feature;
use super::super::State::{Needless, NotYet, Works};
use super::super::kind::ValueKind::{
    Bool, Host, Integer, Object, OnOff, OneOf, Path, Seconds, Text, Token,
};
use super::Scope::{Ingress, Service};
use super::Spelling::{Both, Own};
use super::{Group, Row, group};

pub(super) const GROUPS: &[Group] = &[
    group! { "Time-outs and retries", "超时与重试";
        "timeout", Own, Ingress, Seconds, "",
            "Limit of a whole request; 504 when it is over", "整个请求的时限，超过则 504",
            Works(Feature::Timeout);
        "proxy-connect-timeout", Both, Ingress, Seconds, "5",
            "Limit of connecting to the backend", "连接后端的时限",
            Works(Feature::ConnectTimeout);
        "proxy-send-timeout", Both, Ingress, Seconds, "60",
            "Longest pause between two writes to the backend", "向后端两次写之间的最长间隔",
            ~ "The longer of this and `proxy-read-timeout` is the longest pause in a body",
              "与 `proxy-read-timeout` 取较长者，作为正文中的最长间隔",
            Works(Feature::SendTimeout);
        "proxy-read-timeout", Both, Ingress, Seconds, "60",
            "Longest pause between two reads from the backend", "从后端两次读之间的最长间隔",
            ~ "It is the limit until the first byte too", "同时也是等待首字节的时限",
            Works(Feature::ReadTimeout);
        "proxy-next-upstream", Both, Ingress, Text, "",
            "When a request is sent to another endpoint", "何时换端点重试",
            ~ "Only `off` and `non_idempotent` are followed; which failures lead to another try is fixed",
              "只看 `off` 与 `non_idempotent`；哪些失败会重试是固定的",
            Works(Feature::NextUpstream);
        "proxy-next-upstream-tries", Both, Ingress, Integer(0, 1_000_000), "3",
            "Most tries of a request", "一个请求最多尝试的次数",
            Works(Feature::Tries);
        "proxy-next-upstream-timeout", Both, Ingress, Seconds, "",
            "Time in which further tries may begin", "可以开始重试的时间范围",
            Works(Feature::TriesTimeout);
    },
    group! { "Backend protocol and connections", "后端协议与连接";
        "backend-protocol", Both, Service, OneOf(&["HTTP", "HTTP2", "HTTPS", "GRPC", "GRPCS"]), "HTTP",
            "Protocol spoken to the backend", "与后端通信的协议",
            Works(Feature::BackendProtocol);
        "connection-policy-tcp-max-connection", Own, Service, Integer(0, 1_000_000_000), "",
            "Most connections to the Service", "到 Service 的最大连接数",
            NotYet;
        "connection-policy-tcp-max-connection-per-endpoint", Own, Service, Integer(0, 1_000_000_000), "",
            "Most connections to one endpoint", "到单个端点的最大连接数",
            NotYet;
        "connection-policy-http-max-request-per-connection", Own, Service, Integer(0, 1_000_000_000), "",
            "Requests after which a connection is closed", "一条连接处理多少请求后关闭",
            NotYet;
        "proxy-http-version", Both, Ingress, OneOf(&["1.0", "1.1"]), "1.1",
            "HTTP version spoken to the backend", "与后端通信的 HTTP 版本",
            ~ "The protocol towards backends follows `appProtocol` of the Service",
              "到后端的协议由 Service 的 `appProtocol` 决定",
            Needless;
        "connection-proxy-header", Both, Ingress, Text, "",
            "`Connection` header sent to the backend", "发给后端的 `Connection` 头",
            ~ "The gateway manages its connections to backends itself", "网关自行管理到后端的连接",
            Needless;
        "service-upstream", Both, Service, Bool, "false",
            "Uses the Service's own address in place of its pods'", "使用 Service 自身地址而不是 pod 地址",
            ~ "Requests go to pods, which is what makes failover within a request possible", "请求直达 pod，因此才能在请求内切换",
            Needless;
    },
    group! { "Load balancing", "负载均衡";
        "load-balance", Both, Service, OneOf(&["round_robin", "least_conn", "random", "ewma"]), "round_robin",
            "How an endpoint is chosen", "如何选择端点",
            ~ "It holds for the requests of its Ingress. `random` is the better of two by requests under way; `ewma` by latency, of which peaks count at once",
              "只对本 Ingress 的请求有效。`random` 取两个随机端点中请求较少者；`ewma` 取延迟较低者，峰值立即计入",
            Works(Feature::LoadBalance);
        "upstream-hash-by", Both, Service, Text, "",
            "What consistent hashing hashes", "一致性哈希的键",
            ~ "Text with `$request_uri`, `$uri`, `$args`, `$host`, `$remote_addr`, `$scheme`, `$request_method`, `$http_NAME`, `$arg_NAME`, `$cookie_NAME`; other variables are refused",
              "文本加 `$request_uri`、`$uri`、`$args`、`$host`、`$remote_addr`、`$scheme`、`$request_method`、`$http_NAME`、`$arg_NAME`、`$cookie_NAME`；拒绝其他变量",
            Works(Feature::HashBy);
        "upstream-hash-by-subset", Both, Service, Bool, "false",
            "Hashes to a subset of endpoints", "哈希到端点的子集",
            Works(Feature::HashSubset);
        "upstream-hash-by-subset-size", Both, Service, Integer(1, 1_000_000), "3",
            "Size of the subset, at most 64", "子集的大小，最多 64",
            Works(Feature::HashSubsetSize);
        "warmup", Own, Service, Seconds, "",
            "How long a new endpoint gets fewer requests", "新端点在多长时间内只得到较少请求",
            Works(Feature::Warmup);
    },
    group! { "Session affinity", "会话保持";
        "affinity", Both, Service, OneOf(&["cookie"]), "",
            "Keeps a client with its endpoint by a cookie", "用 cookie 让客户端保持在同一端点",
            ~ "The cookie means the same in every gateway; a client whose endpoint or cluster cannot serve is moved. A canary without settings of its own takes those of its main Ingress",
              "该 cookie 在所有网关中含义相同；端点或集群不能服务时客户端会被移走。金丝雀若无自己的设置，则沿用主 Ingress 的",
            Works(Feature::Affinity);
        "affinity-mode", Both, Service, OneOf(&["balanced", "persistent"]), "balanced",
            "Whether sessions move when endpoints are added", "增加端点时会话是否迁移",
            Works(Feature::AffinityMode);
        "affinity-canary-behavior", Both, Service, OneOf(&["sticky", "legacy"]), "sticky",
            "Whether a client stays with the canary that served it", "客户端是否留在服务过它的金丝雀",
            Works(Feature::AffinityCanary);
        "session-cookie-name", Both, Service, Token, "INGRESSCOOKIE",
            "Name of the cookie", "cookie 的名字",
            Works(Feature::CookieName);
        "session-cookie-path", Both, Service, Path, "",
            "`Path` of the cookie; without it that of the route, or `/` for a regular expression", "cookie 的 `Path`；不写则为路由的路径，正则表达式为 `/`",
            Works(Feature::CookiePath);
        "session-cookie-domain", Both, Service, Host, "",
            "`Domain` of the cookie", "cookie 的 `Domain`",
            Works(Feature::CookieDomain);
        "session-cookie-max-age", Both, Service, Seconds, "session",
            "`Max-Age` of the cookie", "cookie 的 `Max-Age`",
            Works(Feature::CookieMaxAge);
        "session-cookie-expires", Both, Service, Seconds, "session",
            "`Expires` of the cookie, from now", "cookie 的 `Expires`，从现在算起",
            Works(Feature::CookieExpires);
        "session-cookie-samesite", Both, Service, OneOf(&["None", "Lax", "Strict"]), "",
            "`SameSite` of the cookie", "cookie 的 `SameSite`",
            Works(Feature::CookieSameSite);
        "session-cookie-conditional-samesite-none", Both, Service, Bool, "false",
            "Leaves `SameSite=None` out for browsers that misread it", "对误读 `SameSite=None` 的浏览器不发送它",
            Works(Feature::CookieConditionalSameSite);
        "session-cookie-secure", Both, Service, Bool, "",
            "`Secure` of the cookie", "cookie 的 `Secure`",
            Works(Feature::CookieSecure);
        "session-cookie-partitioned", Both, Service, Bool, "false",
            "`Partitioned` of the cookie", "cookie 的 `Partitioned`",
            Works(Feature::CookiePartitioned);
        "session-cookie-change-on-failure", Both, Service, Bool, "false",
            "Replaces the cookie when its endpoint failed", "端点失败后换发 cookie",
            ~ "Without it, 502 to 504 of the session's own endpoint are passed on; an endpoint that cannot be asked is always left",
              "未设置时，会话所属端点的 502 至 504 会原样返回；无法连接的端点总会被放弃",
            Works(Feature::CookieChangeOnFailure);
    },
    group! { "TLS towards backends", "到后端的 TLS";
        "proxy-ssl-secret", Both, Service, Object, "",
            "Client certificate and CA for TLS towards the backend", "到后端的 TLS 所用的客户端证书与 CA",
            Works(Feature::ProxySslSecret);
        "proxy-ssl-name", Both, Service, Host, "",
            "Name that the backend's certificate must have", "后端证书必须具有的名字",
            Works(Feature::ProxySslName);
        "proxy-ssl-server-name", Both, Service, OnOff, "off",
            "Sends that name to the backend", "把该名字发给后端（SNI）",
            Works(Feature::ProxySslServerName);
        "proxy-ssl-verify", Both, Service, OnOff, "off",
            "Checks the backend's certificate", "校验后端证书",
            Works(Feature::ProxySslVerify);
        "proxy-ssl-verify-depth", Both, Service, Integer(0, 100), "1",
            "Longest chain of that certificate", "后端证书链的最大长度",
            Works(Feature::ProxySslVerifyDepth);
        "proxy-ssl-ciphers", Both, Service, Text, "DEFAULT",
            "Cipher suites towards the backend", "到后端的密码套件",
            Works(Feature::ProxySslCiphers);
        "proxy-ssl-protocols", Both, Service, Text, "TLSv1.2",
            "TLS versions towards the backend", "到后端的 TLS 版本",
            Works(Feature::ProxySslProtocols);
    },
];
