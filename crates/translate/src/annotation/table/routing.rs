//! Where a request goes, and in which form.

use super::super::Feature;
use super::super::State::{Needless, NotYet, Works};
use super::super::kind::ValueKind::{
    Bool, Codes, HeaderName, Host, Hosts, Integer, Lines, Methods, Names, Object, OnOff, Path,
    RedirectCode, Regex, Seconds, Service, Text, Texts, Token, Url,
};
use super::Scope::{Domain, Ingress};
use super::Spelling::{Both, Own};
use super::{Group, Row, group};

pub(super) const GROUPS: &[Group] = &[
    group! { "Canary", "金丝雀";
        "canary", Both, Ingress, Bool, "false",
            "Makes this Ingress a canary of the one with the same host and path", "把本 Ingress 作为同主机同路径 Ingress 的金丝雀",
            Works(Feature::Canary);
        "canary-by-header", Both, Ingress, HeaderName, "",
            "Requests whose header of this name is `always` go to the canary", "名为此值的请求头等于 `always` 的请求进入金丝雀",
            Works(Feature::CanaryByHeader);
        "canary-by-header-value", Both, Ingress, Text, "",
            "Requests whose canary header has exactly this value go to the canary", "金丝雀请求头等于此值的请求进入金丝雀",
            ~ "The value `always` selects the canary as well", "值为 `always` 时也进入金丝雀",
            Works(Feature::CanaryByHeaderValue);
        "canary-by-header-pattern", Both, Ingress, Regex, "",
            "Requests whose canary header matches go to the canary", "金丝雀请求头匹配此正则的请求进入金丝雀",
            Works(Feature::CanaryByHeaderPattern);
        "canary-by-cookie", Both, Ingress, Token, "",
            "Requests whose cookie of this name is `always` go to the canary", "名为此值的 cookie 等于 `always` 的请求进入金丝雀",
            Works(Feature::CanaryByCookie);
        "canary-by-cookie-value", Own, Ingress, Text, "",
            "Requests whose canary cookie has exactly this value go to the canary", "金丝雀 cookie 等于此值的请求进入金丝雀",
            Works(Feature::CanaryByCookieValue);
        "canary-by-query", Own, Ingress, Token, "",
            "Requests whose query parameter of this name is `always` go to the canary", "名为此值的查询参数等于 `always` 的请求进入金丝雀",
            Works(Feature::CanaryByQuery);
        "canary-by-query-value", Own, Ingress, Text, "",
            "Requests whose canary query parameter has exactly this value go to the canary", "金丝雀查询参数等于此值的请求进入金丝雀",
            Works(Feature::CanaryByQueryValue);
        "canary-by-query-pattern", Own, Ingress, Regex, "",
            "Requests whose canary query parameter matches go to the canary", "金丝雀查询参数匹配此正则的请求进入金丝雀",
            Works(Feature::CanaryByQueryPattern);
        "canary-weight", Both, Ingress, Integer(0, 1_000_000), "0",
            "Share of the other requests that goes to the canary", "其余请求中进入金丝雀的份额",
            Works(Feature::CanaryWeight);
        "canary-weight-total", Both, Ingress, Integer(1, 1_000_000), "100",
            "What `canary-weight` is a part of", "`canary-weight` 的总量",
            Works(Feature::CanaryWeightTotal);
    },
    group! { "Clusters, subsets and Services", "集群、子集与服务";
        "service-subset", Own, Ingress, Text, "",
            "With `subset-labels`: restricts the routes to a subset of the endpoints", "与 `subset-labels` 一起使用：把路由限定到一部分端点",
            ~ "Subsets are clusters; subsets of pods are refused", "子集即集群；拒绝 pod 子集",
            Works(Feature::ServiceSubset);
        "subset-labels", Own, Ingress, Lines, "",
            "Labels of the subset; `topology.istio.io/cluster NAME` is a cluster", "子集的标签；`topology.istio.io/cluster NAME` 表示集群",
            ~ "The only label is `topology.istio.io/cluster`", "唯一的标签是 `topology.istio.io/cluster`",
            Works(Feature::SubsetLabels);
        "destination", Own, Ingress, Lines, "",
            "Weighted Services in place of the backend, one a line", "代替后端的带权重 Service，每行一个",
            ~ "Only Services of the same namespace, and no subsets; one that is missing leaves its part to the others", "只限同一命名空间的 Service，不支持子集；缺失的 Service 把份额留给其他",
            Works(Feature::Destination);
    },
    group! { "Fallback", "后备";
        "default-backend", Both, Ingress, Service, "",
            "Service that serves when the route's own has no endpoint anywhere", "路由自己的 Service 在各处都没有端点时，由此 Service 服务",
            Works(Feature::DefaultBackend);
        "custom-http-errors", Both, Ingress, Codes, "",
            "Answers of the backend that `default-backend` serves instead", "后端返回这些状态码时由 `default-backend` 代答",
            ~ "It is asked by GET without the body; answers of guards and limits are not replaced", "以 GET 且不带请求体询问；守卫与限制的应答不被替换",
            Works(Feature::CustomHttpErrors);
        "disable-proxy-intercept-errors", Both, Ingress, Bool, "false",
            "Takes this Ingress out of `custom-http-errors`", "使本 Ingress 不受 `custom-http-errors` 影响",
            Works(Feature::DisableInterceptErrors);
    },
    group! { "Matching and rewriting", "匹配与重写";
        "use-regex", Both, Ingress, Bool, "false",
            "Paths are regular expressions", "路径是正则表达式",
            ~ "Case counts, and other Ingresses of the same host keep their plain paths",
              "区分大小写；同一主机的其他 Ingress 的普通路径不受影响",
            Works(Feature::UseRegex);
        "full-path-regex", Own, Ingress, Bool, "false",
            "Regular expressions must match the whole path", "正则表达式必须匹配整个路径",
            Works(Feature::FullPathRegex);
        "rewrite-target", Both, Ingress, Path, "",
            "Path sent to the backend, with captures `$1` to `$9`", "发给后端的路径，可用捕获组 `$1` 到 `$9`",
            ~ "On a plain path only the matched part is replaced, not the whole path", "对普通路径只替换匹配到的部分，而不是整个路径",
            Works(Feature::RewriteTarget);
        "rewrite-path", Own, Ingress, Path, "",
            "Replaces the part of the path that matched", "替换路径中匹配到的部分",
            Works(Feature::RewritePath);
        "upstream-vhost", Both, Ingress, Host, "",
            "Host header sent to the backend", "发给后端的 Host 头",
            Works(Feature::UpstreamVhost);
        "match-method", Own, Ingress, Methods, "",
            "Routes match only these methods", "路由只匹配这些方法",
            Works(Feature::MatchMethod);
        "ignore-path-case", Own, Ingress, Bool, "false",
            "Paths match in upper and lower case", "路径不区分大小写",
            Works(Feature::IgnorePathCase);
        "exact-match-header-*", Own, Ingress, Text, "",
            "Routes match only when this header has the value", "仅当此请求头等于该值时路由才匹配",
            Works(Feature::ExactHeader);
        "prefix-match-header-*", Own, Ingress, Text, "",
            "Routes match only when this header begins with the value", "仅当此请求头以该值开头时路由才匹配",
            Works(Feature::PrefixHeader);
        "regex-match-header-*", Own, Ingress, Regex, "",
            "Routes match only when this header matches", "仅当此请求头匹配该正则时路由才匹配",
            ~ "The expression must match the whole value", "正则须匹配整个值",
            Works(Feature::RegexHeader);
        "exact-match-query-*", Own, Ingress, Text, "",
            "Routes match only when this query parameter has the value", "仅当此查询参数等于该值时路由才匹配",
            Works(Feature::ExactQuery);
        "prefix-match-query-*", Own, Ingress, Text, "",
            "Routes match only when this query parameter begins with the value", "仅当此查询参数以该值开头时路由才匹配",
            Works(Feature::PrefixQuery);
        "regex-match-query-*", Own, Ingress, Regex, "",
            "Routes match only when this query parameter matches", "仅当此查询参数匹配该正则时路由才匹配",
            ~ "The expression must match the whole value", "正则须匹配整个值",
            Works(Feature::RegexQuery);
        "exact-match-pseudo-header-*", Own, Ingress, Text, "",
            "Routes match only when `method`, `scheme`, `path` or `authority` has the value", "仅当 `method`、`scheme`、`path` 或 `authority` 等于该值时路由才匹配",
            Works(Feature::ExactPseudo);
        "prefix-match-pseudo-header-*", Own, Ingress, Text, "",
            "Routes match only when `method`, `scheme`, `path` or `authority` begins with the value", "仅当 `method`、`scheme`、`path` 或 `authority` 以该值开头时路由才匹配",
            Works(Feature::PrefixPseudo);
        "regex-match-pseudo-header-*", Own, Ingress, Regex, "",
            "Routes match only when `method`, `scheme`, `path` or `authority` matches", "仅当 `method`、`scheme`、`path` 或 `authority` 匹配该正则时路由才匹配",
            ~ "The expression must match the whole value", "正则须匹配整个值",
            Works(Feature::RegexPseudo);
        "server-alias", Both, Domain, Hosts, "",
            "Further hosts with the same routes, TLS and policies; no regular expressions", "拥有相同路由、TLS 与策略的其他主机名；不支持正则表达式",
            Works(Feature::ServerAlias);
    },
    group! { "Redirects", "重定向";
        "ssl-redirect", Both, Ingress, Bool, "",
            "Requests in the clear are sent to HTTPS with 308; off without it, while ingress-nginx has it on for hosts with a certificate",
            "明文请求以 308 转到 HTTPS；不写则关闭，而 ingress-nginx 对有证书的主机默认开启",
            Works(Feature::SslRedirect);
        "force-ssl-redirect", Both, Ingress, Bool, "false",
            "As `ssl-redirect`, also for a host without a certificate", "同 `ssl-redirect`，没有证书的主机也转",
            Works(Feature::ForceSslRedirect);
        "permanent-redirect", Both, Ingress, Url, "",
            "Answers every request with 301 to this URL; no variables of nginx in the URL", "所有请求以 301 转到此 URL；URL 中没有 nginx 变量",
            Works(Feature::PermanentRedirect);
        "permanent-redirect-code", Both, Ingress, RedirectCode, "301",
            "Status of `permanent-redirect`", "`permanent-redirect` 的状态码",
            Works(Feature::PermanentRedirectCode);
        "temporal-redirect", Both, Ingress, Url, "",
            "Answers every request with 302 to this URL; no variables of nginx in the URL", "所有请求以 302 转到此 URL；URL 中没有 nginx 变量",
            Works(Feature::TemporalRedirect);
        "temporal-redirect-code", Both, Ingress, RedirectCode, "302",
            "Status of `temporal-redirect`", "`temporal-redirect` 的状态码",
            Works(Feature::TemporalRedirectCode);
        "app-root", Both, Ingress, Path, "",
            "Requests for `/` are sent to this path with 302", "对 `/` 的请求以 302 转到此路径",
            Works(Feature::AppRoot);
        "from-to-www-redirect", Both, Domain, Bool, "false",
            "Sends the name with or without `www.` to the one that the Ingress has", "带或不带 `www.` 的主机名转到 Ingress 中所写的那个",
            ~ "Not where the other name is the host of an Ingress or an alias", "若另一名称已是某 Ingress 的主机或别名，则不重定向",
            Works(Feature::FromToWww);
        "relative-redirects", Both, Ingress, Bool, "false",
            "`Location` of the gateway's own redirects has no host", "网关自身重定向的 `Location` 不带主机",
            ~ "A redirect to another host, or to HTTPS, stays absolute", "转到其他主机或 HTTPS 的重定向仍带主机",
            Works(Feature::RelativeRedirects);
        "use-port-in-redirects", Both, Ingress, Bool, "false",
            "`Location` of the gateway's own redirects names the port", "网关自身重定向的 `Location` 带端口",
            NotYet;
        "preserve-trailing-slash", Both, Ingress, Bool, "false",
            "Keeps a slash at the end of the path in the redirect to HTTPS", "转到 HTTPS 时保留路径末尾的斜杠",
            ~ "A slash at the end is always kept", "末尾的斜杠总会保留",
            Needless;
    },
    group! { "Headers", "请求头与响应头";
        "request-header-control-add", Own, Ingress, Lines, "",
            "Adds request headers", "添加请求头",
            Works(Feature::RequestHeaderAdd);
        "request-header-control-update", Own, Ingress, Lines, "",
            "Sets request headers", "设置请求头",
            Works(Feature::RequestHeaderUpdate);
        "request-header-control-remove", Own, Ingress, Names, "",
            "Removes request headers", "删除请求头",
            Works(Feature::RequestHeaderRemove);
        "response-header-control-add", Own, Ingress, Lines, "",
            "Adds response headers", "添加响应头",
            Works(Feature::ResponseHeaderAdd);
        "response-header-control-update", Own, Ingress, Lines, "",
            "Sets response headers", "设置响应头",
            Works(Feature::ResponseHeaderUpdate);
        "response-header-control-remove", Own, Ingress, Names, "",
            "Removes response headers", "删除响应头",
            Works(Feature::ResponseHeaderRemove);
        "x-forwarded-prefix", Both, Ingress, Text, "",
            "Value of `X-Forwarded-Prefix` for the backend", "发给后端的 `X-Forwarded-Prefix`",
            Works(Feature::ForwardedPrefix);
        "custom-headers", Both, Ingress, Object, "",
            "Response headers from a ConfigMap of the Ingress's namespace; those with variables are left out", "来自同命名空间 ConfigMap 的响应头；含变量的被略去",
            Works(Feature::CustomHeaders);
        "proxy-cookie-domain", Both, Ingress, Text, "off",
            "Rewrites `Domain` of the backend's cookies; no regular expressions and no variables", "改写后端 cookie 的 `Domain`；不支持正则表达式和变量",
            Works(Feature::ProxyCookieDomain);
        "proxy-cookie-path", Both, Ingress, Text, "off",
            "Rewrites `Path` of the backend's cookies; no regular expressions and no variables", "改写后端 cookie 的 `Path`；不支持正则表达式和变量",
            Works(Feature::ProxyCookiePath);
        "proxy-redirect-from", Both, Ingress, Text, "off",
            "Text to replace in `Location` and `Refresh` of answers; no regular expressions and no variables", "响应的 `Location` 与 `Refresh` 中要替换的文本；不支持正则表达式和变量",
            Works(Feature::ProxyRedirectFrom);
        "proxy-redirect-to", Both, Ingress, Text, "off",
            "Replacement for `proxy-redirect-from`", "`proxy-redirect-from` 的替换文本",
            Works(Feature::ProxyRedirectTo);
    },
    group! { "CORS", "跨域";
        "enable-cors", Both, Ingress, Bool, "false",
            "Answers preflight requests and adds CORS headers", "由网关应答预检请求并添加 CORS 响应头",
            Works(Feature::EnableCors);
        "cors-allow-origin", Both, Ingress, Texts, "*",
            "Origins that may ask", "允许的来源",
            Works(Feature::CorsOrigin);
        "cors-allow-methods", Both, Ingress, Methods, "",
            "Methods they may use", "允许使用的方法",
            Works(Feature::CorsMethods);
        "cors-allow-headers", Both, Ingress, Names, "",
            "Request headers they may send", "允许携带的请求头",
            Works(Feature::CorsHeaders);
        "cors-expose-headers", Both, Ingress, Names, "",
            "Response headers that scripts may read", "脚本可读取的响应头",
            Works(Feature::CorsExpose);
        "cors-allow-credentials", Both, Ingress, Bool, "true",
            "Whether credentials are allowed", "是否允许携带凭据",
            Works(Feature::CorsCredentials);
        "cors-max-age", Both, Ingress, Seconds, "1728000",
            "How long a preflight answer may be kept", "预检结果可缓存多久",
            Works(Feature::CorsMaxAge);
    },
    group! { "Mirroring", "流量镜像";
        "mirror-target-service", Own, Ingress, Service, "",
            "Service that gets a copy of each request", "接收每个请求副本的 Service",
            ~ "A body of more than 64 KiB is not copied, nor its request", "超过 64 KiB 的请求体及其请求不被复制",
            Works(Feature::MirrorService);
        "mirror-percentage", Own, Ingress, Integer(0, 100), "100",
            "Share of requests that is copied", "被复制请求的百分比",
            Works(Feature::MirrorPercentage);
        "mirror-target", Both, Ingress, Url, "",
            "URL that gets a copy of each request", "接收每个请求副本的 URL",
            ~ "Only Services, `http://NAME.NAMESPACE.svc`, with or without `$request_uri` at the end; a slow one slows nothing", "仅限 Service：`http://NAME.NAMESPACE.svc`，末尾可带 `$request_uri`；慢的副本不拖慢任何请求",
            Works(Feature::MirrorTarget);
        "mirror-request-body", Both, Ingress, OnOff, "on",
            "Whether bodies are copied", "是否复制请求体",
            Works(Feature::MirrorBody);
        "mirror-host", Both, Ingress, Host, "",
            "Host header of the copies", "副本的 Host 头",
            Works(Feature::MirrorHost);
        "mirror-target-fqdn", Own, Ingress, Host, "",
            "Outside name that gets a copy of each request", "接收每个请求副本的外部域名",
            NotYet;
        "mirror-target-fqdn-port", Own, Ingress, Integer(1, 65_535), "80",
            "Port of `mirror-target-fqdn`", "`mirror-target-fqdn` 的端口",
            NotYet;
    },
];
