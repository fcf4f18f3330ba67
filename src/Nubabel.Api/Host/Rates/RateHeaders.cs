using System.Globalization;
using System.Text;

namespace Nubabel.Api.Host.Rates;

/// <summary>
/// <c>RateLimit-Policy</c> and <c>RateLimit</c> as draft-ietf-httpapi-ratelimit-headers-11 has them: of each limit that the request met its name, its
/// burst <c>q</c> in the window <c>w</c>, and the <c>r</c> requests that may still come within the next <c>t</c> seconds.
/// </summary>
internal sealed class RateHeaders
{
    public const string PolicyHeader = "RateLimit-Policy";
    public const string Header = "RateLimit";

    private readonly StringBuilder policies = new();
    private readonly StringBuilder limits = new();

    /// <summary>Puts a limit on the answer, whatever the answer will be.</summary>
    public static void Add(HttpContext context, string name, in Allowance allowance, in Taken taken)
    {
        var headers = context.Features.Get<RateHeaders>();
        if (headers is null)
        {
            context.Features.Set(headers = new RateHeaders());
            // At the last moment: a problem clears what was set before.
            context.Response.OnStarting(static state =>
            {
                var (http, headers) = ((HttpContext, RateHeaders))state;
                http.Response.Headers[PolicyHeader] = headers.policies.ToString();
                http.Response.Headers[Header] = headers.limits.ToString();
                return Task.CompletedTask;
            }, (context, headers));
        }
        var comma = headers.policies.Length > 0 ? ", " : "";
        headers.policies.Append(CultureInfo.InvariantCulture, $"{comma}\"{name}\";q={allowance.Burst};w={allowance.WindowSeconds}");
        headers.limits.Append(CultureInfo.InvariantCulture, $"{comma}\"{name}\";r={taken.Remaining};t={taken.WaitSeconds}");
    }
}
