using System.Collections.Concurrent;
using System.Reflection;
using System.Text.Json;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.Net.Http.Headers;

namespace Nubabel.Api.Host;

/// <summary>
/// The JSON body of a request, read strictly: <c>Rename(Body&lt;RenameDevice&gt; body)</c>. Declared nullable, the body may be absent.
/// </summary>
public sealed record Body<T>(T Value) : IEndpointParameterMetadataProvider where T : notnull
{
    public static async ValueTask<Body<T>?> BindAsync(HttpContext context, ParameterInfo parameter)
    {
        var raw = await RawBody.Read(context);
        if (raw.Bytes.IsEmpty)
            return BodyForm.MayBeAbsent(parameter) ? null : throw new Problem("json.empty", "The route needs a JSON body.");
        BodyForm.Check(context.Request);
        JsonScan.Check(raw.Bytes.Span, context.RequestServices.GetRequiredService<Settings>().Limits, nullItems: typeof(T) == typeof(JsonElement));
        // The literal null reads as no value; for a body it is the wrong type.
        return new Body<T>(Json.Read<T>(raw.Bytes.Span) ?? throw new Problem("json.wrong_type", "The body must not be null."));
    }

    public static void PopulateMetadata(ParameterInfo parameter, EndpointBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Metadata.Add(new AcceptsMetadata(["application/json"], typeof(T), BodyForm.MayBeAbsent(parameter)));
    }
}

/// <summary>What is the same for a body of any type.</summary>
internal static class BodyForm
{
    private static readonly ConcurrentDictionary<ParameterInfo, bool> Absent = new();

    public static bool MayBeAbsent(ParameterInfo parameter) => Absent.GetOrAdd(parameter,
        static p => p.HasDefaultValue || new NullabilityInfoContext().Create(p).ReadState == NullabilityState.Nullable);

    /// <summary>JSON in UTF-8, uncompressed: an unbounded decompression would get around the body's bound.</summary>
    public static void Check(HttpRequest request)
    {
        var isJson = MediaTypeHeaderValue.TryParse(request.ContentType, out var type)
            && (type.MediaType.Equals("application/json", StringComparison.OrdinalIgnoreCase)
                || (type.Type.Equals("application", StringComparison.OrdinalIgnoreCase) && type.Suffix.Equals("json", StringComparison.OrdinalIgnoreCase)))
            && (type.Charset.Length == 0 || type.Charset.Equals("utf-8", StringComparison.OrdinalIgnoreCase) || type.Charset.Equals("\"utf-8\"", StringComparison.OrdinalIgnoreCase));
        if (!isJson || request.Headers.ContentEncoding.Count > 0)
            throw new Problem("request.media_type", "The body must be application/json in UTF-8 without a content coding.")
            {
                Headers = new Dictionary<string, string> { ["Accept"] = "application/json" },
            };
    }
}
