Your settings: any *.yml file here, in the order of the names, is laid upon ../config.yml. All settings: monorelay.yml(5).
An example that can be copied: /usr/share/doc/monorelay/examples/config.yml

    monorelay check              what is wrong, before it counts
    systemctl reload monorelay   put it in force; a mistake changes nothing
