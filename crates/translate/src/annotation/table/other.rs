//! What has no effect here, and what is never done.

use super::super::State::{Needless, NotYet, Refused};
use super::super::kind::ValueKind::{
    Bool, Hosts, Integer, Object, OnOff, Path, Size, Snippet, Text, Token,
};
use super::Scope::{Domain, Ingress, Service};
use super::Spelling::{Both, Own};
use super::{Group, Row, group};

pub(super) const GROUPS: &[Group] = &[
    group! { "Buffers", "缓冲";
        "client-body-buffer-size", Both, Ingress, Size, "",
            "Buffer of a request's body", "请求体的缓冲",
            ~ "Bodies are streamed", "正文流式转发",
            Needless;
        "proxy-buffering", Both, Ingress, OnOff, "off",
            "Holds answers back until they are whole", "把响应收完整再发出",
            ~ "Bodies are streamed", "正文流式转发",
            Needless;
        "proxy-buffers-number", Both, Ingress, Integer(0, 1_000_000), "4",
            "Number of buffers of an answer", "响应缓冲的个数",
            ~ "Bodies are streamed", "正文流式转发",
            Needless;
        "proxy-buffer-size", Both, Ingress, Size, "4k",
            "Size of the first buffer of an answer", "响应第一个缓冲的大小",
            ~ "Bodies are streamed", "正文流式转发",
            Needless;
        "proxy-busy-buffers-size", Both, Ingress, Size, "",
            "Buffers that may be busy", "可处于忙状态的缓冲",
            ~ "Bodies are streamed", "正文流式转发",
            Needless;
        "proxy-max-temp-file-size", Both, Ingress, Size, "",
            "File that holds what buffers cannot", "缓冲放不下时使用的文件",
            ~ "Bodies are streamed", "正文流式转发",
            Needless;
        "proxy-request-buffering", Both, Ingress, OnOff, "on",
            "Holds requests back until they are whole", "把请求收完整再发出",
            ~ "Bodies are streamed", "正文流式转发",
            Needless;
    },
    group! { "Logs and traces", "日志与链路追踪";
        "enable-access-log", Both, Ingress, Bool, "true",
            "Whether requests are logged", "是否记录请求",
            ~ "There is no access log for each Ingress", "没有按 Ingress 的访问日志",
            Needless;
        "enable-rewrite-log", Both, Ingress, Bool, "false",
            "Logs rewrites", "记录改写",
            ~ "There is no such log", "没有这种日志",
            Needless;
        "enable-opentelemetry", Both, Ingress, Bool, "",
            "Whether requests are traced", "是否追踪请求",
            NotYet;
        "opentelemetry-trust-incoming-span", Both, Ingress, Bool, "",
            "Whether a client's trace goes on", "是否延续客户端的追踪",
            NotYet;
        "opentelemetry-operation-name", Both, Ingress, Text, "",
            "Name of a span", "span 的名字",
            ~ "Spans are not named by free text", "span 不由自由文本命名",
            Needless;
        "enable-opentracing", Both, Ingress, Bool, "false",
            "Older tracing", "旧式追踪",
            ~ "ingress-nginx has removed it; write `enable-opentelemetry`",
              "ingress-nginx 已移除；请写 `enable-opentelemetry`",
            Needless;
        "opentracing-trust-incoming-span", Both, Ingress, Bool, "true",
            "Older tracing", "旧式追踪",
            ~ "ingress-nginx has removed it; write `opentelemetry-trust-incoming-span`",
              "ingress-nginx 已移除；请写 `opentelemetry-trust-incoming-span`",
            Needless;
        "enable-influxdb", Both, Ingress, Bool, "",
            "Metrics to InfluxDB", "向 InfluxDB 发送指标",
            ~ "ingress-nginx has removed it; the gateway has `/metrics`", "ingress-nginx 已移除；网关提供 `/metrics`",
            Needless;
        "influxdb-measurement", Both, Ingress, Text, "",
            "Metrics to InfluxDB", "向 InfluxDB 发送指标",
            ~ "ingress-nginx has removed it; the gateway has `/metrics`", "ingress-nginx 已移除；网关提供 `/metrics`",
            Needless;
        "influxdb-port", Both, Ingress, Integer(1, 65_535), "",
            "Metrics to InfluxDB", "向 InfluxDB 发送指标",
            ~ "ingress-nginx has removed it; the gateway has `/metrics`", "ingress-nginx 已移除；网关提供 `/metrics`",
            Needless;
        "influxdb-host", Both, Ingress, Text, "",
            "Metrics to InfluxDB", "向 InfluxDB 发送指标",
            ~ "ingress-nginx has removed it; the gateway has `/metrics`", "ingress-nginx 已移除；网关提供 `/metrics`",
            Needless;
        "influxdb-server-name", Both, Ingress, Text, "",
            "Metrics to InfluxDB", "向 InfluxDB 发送指标",
            ~ "ingress-nginx has removed it; the gateway has `/metrics`", "ingress-nginx 已移除；网关提供 `/metrics`",
            Needless;
    },
    group! { "Snippets", "配置片段";
        "configuration-snippet", Both, Ingress, Snippet, "",
            "nginx directives of a location", "location 的 nginx 指令",
            ~ "Free text in another proxy's language is never used; most of it has an annotation in the groups Redirects, Headers, and Matching and rewriting",
              "从不使用其他代理语言的自由文本；常见用途见“重定向”“请求头与响应头”“匹配与重写”各组",
            Refused;
        "server-snippet", Both, Domain, Snippet, "",
            "nginx directives of a server", "server 的 nginx 指令",
            ~ "Free text in another proxy's language is never used; most of it has an annotation in the groups Redirects, Headers, and Access by address",
              "从不使用其他代理语言的自由文本；常见用途见“重定向”“请求头与响应头”“按地址访问控制”各组",
            Refused;
        "auth-snippet", Both, Ingress, Snippet, "",
            "nginx directives of the authentication request", "认证请求的 nginx 指令",
            ~ "Free text in another proxy's language is never used; guard the routes with `auth-type` or in the application",
              "从不使用其他代理语言的自由文本；请用 `auth-type` 或在应用中保护路由",
            Refused;
        "modsecurity-snippet", Both, Ingress, Snippet, "",
            "ModSecurity rules", "ModSecurity 规则",
            ~ "There is no web application firewall; remove it, and put one in front of the gateway",
              "没有 Web 应用防火墙；请移除它，并在网关前面放一个",
            Refused;
        "stream-snippet", Both, Ingress, Snippet, "",
            "nginx directives of streams", "stream 的 nginx 指令",
            ~ "Free text in another proxy's language is never used; expose TCP and UDP by a Service of type LoadBalancer",
              "从不使用其他代理语言的自由文本；TCP 与 UDP 请用 LoadBalancer 类型的 Service 暴露",
            Refused;
    },
    group! { "Other protocols", "其他协议";
        "http2-push-preload", Both, Ingress, Bool, "false",
            "Pushes what `Link` headers name", "推送 `Link` 头所指的资源",
            ~ "Browsers no longer take pushes", "浏览器不再接受推送",
            Needless;
        "fastcgi-index", Both, Ingress, Text, "",
            "Index of a FastCGI backend", "FastCGI 后端的索引",
            ~ "FastCGI backends are not served; put an HTTP server in the pod",
              "不服务 FastCGI 后端；请在 pod 中放一个 HTTP 服务器",
            Refused;
        "fastcgi-params-configmap", Both, Ingress, Object, "",
            "Parameters of a FastCGI backend", "FastCGI 后端的参数",
            ~ "FastCGI backends are not served; put an HTTP server in the pod",
              "不服务 FastCGI 后端；请在 pod 中放一个 HTTP 服务器",
            Refused;
        "rpc-destination-name", Own, Ingress, Text, "",
            "Translates HTTP to an RPC service", "把 HTTP 转换为 RPC 服务调用",
            ~ "The gateway speaks HTTP only; call the RPC service from one that does",
              "网关只讲 HTTP；请由一个 HTTP 服务去调用 RPC 服务",
            Refused;
        "mcp-server", Own, Ingress, Bool, "",
            "Makes the route an MCP server", "使路由成为 MCP 服务器",
            ~ "The gateway serves no tools; run an MCP server as a Service", "网关不提供工具；请把 MCP 服务器作为 Service 运行",
            Refused;
        "mcp-server-match-rule-domains", Own, Ingress, Hosts, "",
            "Hosts of the MCP server", "MCP 服务器的主机",
            ~ "The gateway serves no tools; run an MCP server as a Service", "网关不提供工具；请把 MCP 服务器作为 Service 运行",
            Refused;
        "mcp-server-match-rule-type", Own, Ingress, Text, "",
            "How its path is matched", "其路径的匹配方式",
            ~ "The gateway serves no tools; run an MCP server as a Service", "网关不提供工具；请把 MCP 服务器作为 Service 运行",
            Refused;
        "mcp-server-match-rule-value", Own, Ingress, Text, "",
            "Its path", "其路径",
            ~ "The gateway serves no tools; run an MCP server as a Service", "网关不提供工具；请把 MCP 服务器作为 Service 运行",
            Refused;
        "mcp-server-upstream-type", Own, Ingress, Text, "",
            "Protocol of its backend", "其后端的协议",
            ~ "The gateway serves no tools; run an MCP server as a Service", "网关不提供工具；请把 MCP 服务器作为 Service 运行",
            Refused;
        "mcp-server-enable-path-rewrite", Own, Ingress, Bool, "",
            "Rewrites its paths", "改写其路径",
            ~ "The gateway serves no tools; run an MCP server as a Service", "网关不提供工具；请把 MCP 服务器作为 Service 运行",
            Refused;
        "mcp-server-path-rewrite-prefix", Own, Ingress, Path, "",
            "Prefix for that", "改写所用的前缀",
            ~ "The gateway serves no tools; run an MCP server as a Service", "网关不提供工具；请把 MCP 服务器作为 Service 运行",
            Refused;
        "mcp-sse-stateful-param-name", Own, Service, Token, "",
            "Query parameter that names a stream's session", "指明流所属会话的查询参数",
            ~ "The gateway serves no tools; run an MCP server as a Service", "网关不提供工具；请把 MCP 服务器作为 Service 运行",
            Refused;
    },
];
