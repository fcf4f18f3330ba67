using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Nubabel.Domain;

/// <summary>
/// A text that is parsed once, at the edge, so that a decision never sees a bad one. In JSON it is a plain string, in requests and in
/// stored events alike; a rule may therefore be loosened at any time, but tightened only with an upcaster for what is already stored.
/// </summary>
public interface IValue<T> where T : class, IValue<T>
{
    /// <summary>The accepted form: what is stored and shown.</summary>
    string Value { get; }

    /// <exception cref="Refused">The text is not acceptable (<see cref="RefusalKind.Invalid"/>).</exception>
    static abstract T Parse(string text);
}

/// <summary>
/// Tells a wrong JSON type (a plain <see cref="JsonException"/>: 400) from a string that is not acceptable (a <see cref="JsonException"/>
/// around its <see cref="Refused"/>: 422, and the exception's path names the member).
/// </summary>
internal sealed class ValueConverter<T> : JsonConverter<T> where T : class, IValue<T>
{
    public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType != JsonTokenType.String) throw new JsonException();
        var text = reader.GetString()!;
        try
        {
            return T.Parse(text);
        }
        catch (Refused refused)
        {
            throw new JsonException(refused.Message, refused);
        }
    }

    public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) => writer.WriteStringValue(value.Value);
}

/// <summary>
/// An enum as a camelCase word. Unlike the framework's converter it knows one spelling per word, takes no numbers, and tells an unknown
/// word (refused: 422) from a wrong JSON type (400).
/// </summary>
internal abstract class WordConverter<T>(string code) : JsonConverter<T> where T : struct, Enum
{
    private static readonly Dictionary<string, T> ByWord = Enum.GetValues<T>().ToDictionary(WordOf);
    private static readonly Dictionary<T, string> Words = ByWord.ToDictionary(p => p.Value, p => p.Key);

    public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType != JsonTokenType.String) throw new JsonException();
        if (ByWord.TryGetValue(reader.GetString()!, out var value)) return value;
        var message = $"One of: {string.Join(", ", ByWord.Keys)}.";
        throw new JsonException(message, new Refused(RefusalKind.Invalid, code, message));
    }

    public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) => writer.WriteStringValue(Words[value]);

    private static string WordOf(T value) => JsonNamingPolicy.CamelCase.ConvertName(value.ToString());
}

/// <summary>The <c>TryParse</c> of every value type.</summary>
internal static class Attempt
{
    public static bool Parse<T>([NotNullWhen(true)] string? text, [NotNullWhen(true)] out T? value) where T : class, IValue<T>
    {
        value = null;
        if (text is null) return false;
        try
        {
            value = T.Parse(text);
            return true;
        }
        catch (Refused)
        {
            return false;
        }
    }
}
