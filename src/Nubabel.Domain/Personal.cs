using System.Buffers.Text;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Nubabel.Domain;

/// <summary>
/// A personal value, sealed. The plain text exists only at the edge: it is sealed before a command is made and opened when a page is
/// read, so neither events, states, read models nor dumps ever hold it. Sealing the same text under the same key gives the same
/// <see cref="Cipher"/>, so a decision can still see that nothing changes.
/// </summary>
/// <param name="Subject">Whose key opens it: a stream id such as <c>user-0198…</c>. Destroying that key erases the value everywhere. Empty for <see cref="Unsealed"/>.</param>
/// <param name="Cipher">base64url of nonce, ciphertext and tag, AES-256-GCM.</param>
[JsonConverter(typeof(PersonalConverter))]
public sealed record Personal(string Subject, string Cipher)
{
    /// <summary>
    /// What was stored in the clear before its kind of value became personal: without a subject, the text as base64url. Only upcasts make it; it shows that no
    /// key seals it, so no erasure reaches it.
    /// </summary>
    public static Personal Unsealed(string text) => new("", Base64Url.EncodeToString(Encoding.UTF8.GetBytes(text)));
}

/// <summary>The wire form <c>{"$p":1,"s":"…","c":"…"}</c>, recognised wherever it stands in a JSON text.</summary>
internal sealed class PersonalConverter : JsonConverter<Personal>
{
    public override Personal Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        string? subject = null, cipher = null;
        var form = 0;
        if (reader.TokenType != JsonTokenType.StartObject) throw new JsonException();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.GetString();
            reader.Read();
            switch (name)
            {
                case "$p": form = reader.GetInt32(); break;
                case "s": subject = reader.GetString(); break;
                case "c": cipher = reader.GetString(); break;
                default: throw new JsonException();
            }
        }
        return form == 1 && subject is not null && cipher is not null ? new Personal(subject, cipher) : throw new JsonException();
    }

    public override void Write(Utf8JsonWriter writer, Personal value, JsonSerializerOptions options)
    {
        writer.WriteStartObject();
        writer.WriteNumber("$p", 1);
        writer.WriteString("s", value.Subject);
        writer.WriteString("c", value.Cipher);
        writer.WriteEndObject();
    }
}
