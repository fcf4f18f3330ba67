using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;
using Nubabel.Domain;
using Nubabel.Domain.Flags;
using Nubabel.Domain.Jobs;

namespace Nubabel.Api.Host.OpenApi;

/// <summary>Says of value types, which are strings on the wire, what strings they are: the document reads the same constants that the parsers obey.</summary>
internal static class Schemas
{
    private const string IdPattern = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$";
    public const string IdExample = "0199a0d4-7c1e-7b3a-9f52-3f1f6f6f2a10";

    public static Task Transform(OpenApiSchema schema, OpenApiSchemaTransformerContext context, CancellationToken ct)
    {
        var type = context.JsonTypeInfo.Type;
        var inner = Nullable.GetUnderlyingType(type) ?? type;
        if (IsText(inner))
        {
            var nullable = inner != type || schema.Type?.HasFlag(JsonSchemaType.Null) == true;
            Describe(schema, inner);
            if (nullable) schema.Type |= JsonSchemaType.Null;
        }
        // What an event, a message or a job's result holds: the type of it says more.
        if (inner == typeof(JsonElement) || inner == typeof(JobData)) schema.Type = JsonSchemaType.Object;
        if (inner == typeof(Percentage))
        {
            schema.Type = JsonSchemaType.Number | (schema.Type?.HasFlag(JsonSchemaType.Null) == true ? JsonSchemaType.Null : 0);
            (schema.Minimum, schema.Maximum, schema.MultipleOf) = ("0", "100", 0.01m);
        }
        // A list that may be null comes without what it holds.
        if (schema.Type?.HasFlag(JsonSchemaType.Array) == true && schema.Items is null && context.JsonTypeInfo.ElementType is { } item && IsText(item))
        {
            var items = new OpenApiSchema();
            Describe(items, item);
            schema.Items = items;
        }
        // A null is not written, so a member that may be null may be absent.
        foreach (var member in context.JsonTypeInfo.Properties.Where(p => p.IsGetNullable || Nullable.GetUnderlyingType(p.PropertyType) is not null))
            schema.Required?.Remove(member.Name);
        return Task.CompletedTask;
    }

    /// <summary>Whether a type is a string on the wire although it is none in C#.</summary>
    public static bool IsText(Type type) => IsId(type) || IsValue(type) || type.IsEnum || type == typeof(DateTimeOffset) || type == typeof(Personal);

    /// <summary>Small types stand where they are used; a component for each id would only be in the way of reading.</summary>
    public static string? ReferenceId(System.Text.Json.Serialization.Metadata.JsonTypeInfo info) =>
        info.Type == typeof(JsonElement) || info.Type == typeof(Percentage) || IsText(Nullable.GetUnderlyingType(info.Type) ?? info.Type) ? null : OpenApiOptions.CreateDefaultSchemaReferenceId(info);

    public static void Describe(OpenApiSchema schema, Type type)
    {
        schema.Type = JsonSchemaType.String;
        schema.Properties = null;
        schema.Required = null;
        if (IsId(type))
        {
            (schema.Format, schema.Pattern) = ("uuid", IdPattern);
        }
        else if (type.IsEnum)
        {
            schema.Enum = [.. Enum.GetNames(type).Select(n => (JsonNode)JsonNamingPolicy.CamelCase.ConvertName(n)!)];
        }
        else if (type == typeof(DateTimeOffset))
        {
            schema.Format = "date-time";
        }
        else if (type == typeof(Personal))
        {
            schema.Type |= JsonSchemaType.Null;
            schema.Description = "Personal data; null once it has been erased.";
        }
        else
        {
            schema.MinLength = Constant<int>(type, "MinimumCharacters") ?? 1;
            schema.MaxLength = Constant<int>(type, "MaximumCharacters");
            schema.Pattern = Text(type, "Pattern");
            schema.Format = type.Name switch { "Email" => "email", "Password" => "password", _ => null };
        }
    }

    private static bool IsId(Type type) => type.IsGenericType && type.GetGenericTypeDefinition() == typeof(Id<>);

    private static bool IsValue(Type type) => type.GetInterfaces().Any(i => i.IsGenericType && i.GetGenericTypeDefinition() == typeof(IValue<>));

    private static T? Constant<T>(Type type, string name) where T : struct => type.GetField(name, BindingFlags.Public | BindingFlags.Static)?.GetRawConstantValue() as T?;

    private static string? Text(Type type, string name) => type.GetField(name, BindingFlags.Public | BindingFlags.Static) is { IsLiteral: true } field ? field.GetRawConstantValue() as string : null;
}
